/**
 * A random rotation that all clients of a round share: it spreads what is concentrated, so that no coordinate of the sum leaves the
 * modulus (Kairouz, Liu and Steinke, "The Distributed Discrete Gaussian Mechanism", 2021; Suresh et al. 2017).
 *
 * Nothing is padded. With p the largest power of two up to the dimension d, the first p coordinates are flipped by random signs and
 * Hadamard transformed, and then, with other signs, the last p: an orthogonal map of d coordinates, two halves of which overlap. After
 * it every coordinate was last touched by a transform of width p, so each is sub-Gaussian with variance proxy |x|^2 / p, whatever x is;
 * p > d / 2. Padding to 2p would give |x|^2 / (2p), and cost up to twice the bytes: 31 % at d = 10^5, 5 % at 10^6. The price of not
 * padding is a spread of the signal that is up to sqrt(2) as wide, which `granularity.ts` counts; noise, mostly the wider part of a sum,
 * is not touched by it. Disjoint blocks of powers of two would spread a block of 32 over 32 coordinates alone.
 *
 * Signs are public. They bind to the session, which clients know before they train, so a client could choose its update by them; that
 * costs utility, as any false update does, and never privacy.
 */
import { deriveKey, DOMAINS, keyStream } from '@carapace/crypto';
import { withWorkspace } from './lattice/kernel.ts';
import type { Workspace } from './lattice/kernel.ts';

/** 32 bytes, the same for all parties of a session. @param context what names the session, such as `contextOf(session)` */
export function rotationSeed(context: Uint8Array): Uint8Array<ArrayBuffer> {
  return deriveKey(new Uint8Array(32), DOMAINS.noiseRotation, context);
}

/** The largest power of two up to the dimension: width of the transforms. */
export function rotationWidth(dimension: number): number {
  return 2 ** Math.floor(Math.log2(dimension));
}

/** Rotates the numbers of the workspace, and multiplies them by the factor. */
export function rotate(workspace: Workspace, seed: Uint8Array, factor: number): void {
  const { second, width, log } = passesOf(workspace.length);
  workspace.flip(0, width, keyStream(seed, 0, 0), width ** -0.5);
  workspace.hadamard(0, log);
  if (second > 0) {
    workspace.flip(second, width, keyStream(seed, 1, 0), width ** -0.5);
    workspace.hadamard(second, log);
  }
  scale(workspace.numbers, factor);
}

/** The inverse: transposed passes in the opposite order. */
export function unrotate(values: Float64Array, seed: Uint8Array, factor: number): Float64Array<ArrayBuffer> {
  const { second, width, log } = passesOf(values.length);
  return withWorkspace(values.length, (workspace) => {
    workspace.numbers.set(values);
    if (second > 0) {
      workspace.hadamard(second, log);
      workspace.flip(second, width, keyStream(seed, 1, 0), width ** -0.5);
    }
    workspace.hadamard(0, log);
    workspace.flip(0, width, keyStream(seed, 0, 0), width ** -0.5);
    scale(workspace.numbers, factor);
    return workspace.numbers.slice();
  });
}

interface Passes {
  /** Where the second transform begins; 0 where one covers all. */
  readonly second: number;
  readonly width: number;
  readonly log: number;
}

function passesOf(dimension: number): Passes {
  const width = rotationWidth(dimension);
  return { second: dimension - width, width, log: Math.log2(width) };
}

function scale(numbers: Float64Array, factor: number): void {
  for (let i = 0; i < numbers.length; i++) numbers[i]! *= factor;
}
