/** Rounding up or down at random so that the mean is the value itself: without bias, and with exact coins. */
import { CryptoError } from '../errors.ts';
import type { RandomSource } from '../random.ts';
import { RandomWords } from './random-words.ts';

/**
 * Each value becomes one of its two neighbouring integers, the upper with the probability of its fraction, exactly: the fraction
 * of a float64 is compared with random bits until they differ. @throws CryptoError `NOISE_PARAMETER` for a value that is not
 * finite or leaves 32 bits
 */
export function roundStochastically(values: Float64Array, random: RandomSource): Int32Array<ArrayBuffer> {
  const words = new RandomWords(random);
  const rounded = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const floor = Math.floor(values[i]!);
    if (!(floor >= -(2 ** 31) && floor < 2 ** 31 - 1)) {
      throw new CryptoError('NOISE_PARAMETER', `a value of ${values[i]!} cannot be rounded to 32 bits`);
    }
    rounded[i] = floor + (isAbove(values[i]! - floor, words) ? 1 : 0);
  }
  return rounded;
}

/** True with probability `fraction`, in [0, 1). Multiplying by 2^32 and taking the whole part off are exact in float64. */
function isAbove(fraction: number, words: RandomWords): boolean {
  for (let left = fraction; left > 0;) {
    const scaled = left * 2 ** 32;
    const whole = Math.floor(scaled);
    const word = words.next();
    if (word !== whole) return word < whole;
    left = scaled - whole;
  }
  return false;
}
