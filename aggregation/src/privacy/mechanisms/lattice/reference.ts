/** The slow twin of the kernel: what each of its functions computes, one number at a time. */

/** Layers from the widest to the narrowest, as the kernel: then sums are rounded alike. The length is a power of two. */
export function hadamardReference(x: Float64Array): void {
  for (let half = x.length / 2; half >= 1; half /= 2) {
    for (let block = 0; block < x.length; block += 2 * half) {
      for (let i = block; i < block + half; i++) {
        const [a, b] = [x[i]!, x[i + half]!];
        x[i] = a + b;
        x[i + half] = a - b;
      }
    }
  }
}

export function flipReference(x: Float64Array, signs: Uint8Array, factor: number): void {
  for (let i = 0; i < x.length; i++) x[i] = (((signs[i >> 3]! >> (i & 7)) & 1) === 1 ? -x[i]! : x[i]!) * factor;
}

/** The coin, 32 random bits, rounds up with the probability of the fraction, to 2^-32. */
export function roundReference(value: number, coin: number): number {
  const floor = Math.floor(value);
  return floor + (coin * 2 ** -32 < value - floor ? 1 : 0);
}

export function normsReference(values: Int32Array): { readonly l2Squared: bigint; readonly l1: bigint } {
  let [l2Squared, l1] = [0n, 0n];
  for (const value of values) {
    const wide = BigInt(value);
    l2Squared += wide * wide;
    l1 += wide < 0n ? -wide : wide;
  }
  return { l2Squared, l1 };
}
