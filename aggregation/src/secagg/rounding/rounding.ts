/** Clipping and unbiased rounding of a whole update, part by part in the kernel. */
import { instantiate, keyStream } from '@carapace/crypto';
import type { Instance, RandomSource } from '@carapace/crypto';
import { KERNEL_WASM } from './kernel-wasm.ts';

export interface Rounding {
  /** What a clipped value is multiplied by. */
  readonly share: number;
  readonly clip: number;
  /** Top of the scale: the clip becomes this, minus the clip 0. */
  readonly laneMax: number;
}

interface KernelExports {
  round(
    lanes: number,
    values: number,
    coins: number,
    count: number,
    share: number,
    clip: number,
    scale: number,
    laneMax: number,
  ): number;
}

const PART = 16_384;
const VALUES = 1024;
const COINS = VALUES + 4 * PART;
const LANES = COINS + 4 * PART;
const END = LANES + 4 * PART;

let kernel: Instance<KernelExports> | undefined;

/**
 * Writes one lane for each value. Coins are an AES-256-CTR stream under a fresh key. False when a value is not finite; then the lanes
 * mean nothing.
 */
export function roundAll(lanes: Uint32Array, values: Float32Array, rounding: Rounding, random: RandomSource): boolean {
  kernel ??= instantiate<KernelExports>(KERNEL_WASM, END);
  const { exports, memory } = kernel;
  const { share, clip, laneMax } = rounding;
  const coins = keyStream(random.bytes(32), 0, 0);
  let finite = true;
  for (let at = 0; at < values.length; at += PART) {
    const part = values.subarray(at, at + PART);
    const count = Math.ceil(part.length / 4) * 4;
    new Float32Array(memory, VALUES, count).fill(0, part.length).set(part);
    coins.fill(new Uint8Array(memory, COINS, 4 * count));
    const whole = exports.round(LANES, VALUES, COINS, count, share, clip, laneMax / (2 * clip), laneMax);
    finite = finite && whole !== 0;
    lanes.set(new Uint32Array(memory, LANES, part.length), at);
  }
  new Uint8Array(memory, VALUES, END - VALUES).fill(0);
  return finite;
}
