/** Updates that follow from client and round alone, so that a test knows what their mean must be without seeing any. */
import { seededRandom } from '@carapace/simulations';

/** `size` values between -0.5 and 0.5 in steps of 2^-16, which float32 holds exactly on top of small weights. */
export function seededUpdate(index: number, round: string, size: number): Float32Array {
  const words = new Uint16Array(seededRandom(`${round}/${index}`).bytes(2 * size).buffer);
  return Float32Array.from(words, (word) => (word - 32_768) / 65_536);
}

/** 1 to 5. */
export function seededExamples(index: number): number {
  return 1 + (index % 5);
}
