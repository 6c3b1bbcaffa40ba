import { expect, test } from 'vitest';
import type { KeyArrangement } from '../../src/index.ts';
import { seededRandom } from '../../testing/index.ts';
import { arrangementOf, sumOf } from './kit.ts';

/** CARAPACE_LONG=1: a thousand rounds. */
const ROUNDS = process.env['CARAPACE_LONG'] === '1' ? 1000 : 15;

/** WebAssembly memory never shrinks: what is not freed makes it grow, by a megabyte for a ciphertext or two. */
test.each<KeyArrangement>([{ kind: 'shared' }, { kind: 'committee', members: 3, threshold: 2 }])(
  '$kind: rounds with refusals leave the memory of SEAL where it was',
  { timeout: 540_000 },
  async (keys) => {
    const random = seededRandom('soak');
    const round = async (): Promise<void> => {
      const { bgv, encrypt, open } = await arrangementOf({ keys, clients: 5, maxValue: 255, length: 20_000 }, random);
      const input = encrypt(new Uint32Array(20_000).fill(3));
      expect(open(sumOf(bgv, [input, input])).values?.[0]).toBe(6);
      const bad = { body: Uint8Array.from(input.body).fill(0xff, -8), mask: input.mask };
      expect(() => sumOf(bgv, [bad])).toThrow();
      expect(() => open(bad)).toThrow();
      bgv.free();
    };
    for (let i = 0; i < 5; i++) await round();
    const before = wasmBytes();
    for (let i = 0; i < (keys.kind === 'shared' ? ROUNDS : ROUNDS / 5); i++) await round();
    expect(wasmBytes() - before).toBeLessThan(4 * 2 ** 20);
  },
);

/** Of all that V8 counts as external but array buffers: the memories of WebAssembly, and little else. */
function wasmBytes(): number {
  const { external, arrayBuffers } = process.memoryUsage();
  return external - arrayBuffers;
}
