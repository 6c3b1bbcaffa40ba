/**
 * Discrete Fourier transform of a real sequence whose length is a power of two, in binary64. The sequence is folded into a complex
 * one of half the length.
 *
 * Error: in the 2-norm at most {@link fftError} relative. Higham, "Accuracy and Stability of Numerical Algorithms" (2002), theorem 24.2
 * gives log2 n * eta with eta = mu + gamma_4 (sqrt 2 + mu), which is below 8 u with twiddles that err by mu <= u; the last
 * stage, which unfolds, is one of the log2 n.
 */
import { UNIT } from './normal.ts';

export interface Spectrum {
  /** Real and imaginary parts of the coefficients 0 to n/2. */
  readonly re: Float64Array;
  readonly im: Float64Array;
}

export function fftError(size: number): number {
  return 8 * UNIT * Math.log2(size);
}

/** X_k = sum_j x_j e^{-2 pi i jk / n} for k = 0 to n/2. `values.length` is a power of two, at least 4. */
export function realFft(values: Float64Array): Spectrum {
  const half = values.length / 2;
  const re = new Float64Array(half);
  const im = new Float64Array(half);
  for (let i = 0; i < half; i++) {
    re[i] = values[2 * i]!;
    im[i] = values[2 * i + 1]!;
  }
  const { cos, sin } = twiddles(values.length);
  transform(re, im, cos, sin);
  return unfold(re, im, cos, sin);
}

export interface Twiddles {
  /** cos and sin of 2 pi k / n for k < n/2. */
  readonly cos: Float64Array;
  readonly sin: Float64Array;
}

const KEPT = new Map<number, Twiddles>();

/** By eighths of the circle, so that the arguments are small and every value is as good as the language's sine. */
export function twiddles(size: number): Twiddles {
  const kept = KEPT.get(size);
  if (kept !== undefined) return kept;
  const cos = new Float64Array(size / 2);
  const sin = new Float64Array(size / 2);
  for (let k = 0; k < size / 2; k++) {
    const quarter = k >= size / 4;
    const j = quarter ? k - size / 4 : k;
    const swapped = 8 * j > size;
    const angle = (2 * Math.PI * (swapped ? size / 4 - j : j)) / size;
    const c = swapped ? Math.sin(angle) : Math.cos(angle);
    const s = swapped ? Math.cos(angle) : Math.sin(angle);
    cos[k] = quarter ? -s : c;
    sin[k] = quarter ? c : s;
  }
  const made = { cos, sin };
  KEPT.set(size, made);
  return made;
}

/** In place, decimation in time; the tables are those of twice the length. */
function transform(re: Float64Array, im: Float64Array, cos: Float64Array, sin: Float64Array): void {
  const size = re.length;
  reverseBits(re, im);
  for (let length = 2; length <= size; length *= 2) {
    const middle = length / 2;
    const stride = (2 * size) / length;
    for (let start = 0; start < size; start += length) {
      for (let j = 0, k = 0; j < middle; j++, k += stride) {
        const a = start + j;
        const b = a + middle;
        const c = cos[k]!;
        const s = sin[k]!;
        const xr = re[b]! * c + im[b]! * s;
        const xi = im[b]! * c - re[b]! * s;
        const ar = re[a]!;
        const ai = im[a]!;
        re[b] = ar - xr;
        im[b] = ai - xi;
        re[a] = ar + xr;
        im[a] = ai + xi;
      }
    }
  }
}

function reverseBits(re: Float64Array, im: Float64Array): void {
  const size = re.length;
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i >= j) continue;
    const real = re[i]!;
    const imaginary = im[i]!;
    re[i] = re[j]!;
    im[i] = im[j]!;
    re[j] = real;
    im[j] = imaginary;
  }
}

/** From the transform of x_{2j} + i x_{2j+1} to that of x. */
function unfold(zr: Float64Array, zi: Float64Array, cos: Float64Array, sin: Float64Array): Spectrum {
  const half = zr.length;
  const re = new Float64Array(half + 1);
  const im = new Float64Array(half + 1);
  re[0] = zr[0]! + zi[0]!;
  re[half] = zr[0]! - zi[0]!;
  for (let k = 1; k < half; k++) {
    const evenRe = 0.5 * (zr[k]! + zr[half - k]!);
    const evenIm = 0.5 * (zi[k]! - zi[half - k]!);
    const oddRe = 0.5 * (zi[k]! + zi[half - k]!);
    const oddIm = 0.5 * (zr[half - k]! - zr[k]!);
    re[k] = evenRe + cos[k]! * oddRe + sin[k]! * oddIm;
    im[k] = evenIm + cos[k]! * oddIm - sin[k]! * oddRe;
  }
  return { re, im };
}
