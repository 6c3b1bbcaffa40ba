// Sums of 64-bit words, and lanes within them, in AssemblyScript for WebAssembly with 128-bit SIMD; `npm run kernels` compiles this file into
// `../kernel-wasm.ts`. `count` is in pairs of words.

/** to := to + from, modulo 2^64. */
export function add(to: usize, from: usize, count: u32): void {
  for (let i: u32 = 0; i < count; i++, to += 16, from += 16) {
    v128.store(to, i64x2.add(v128.load(to), v128.load(from)));
  }
}

/** to := to - from, modulo 2^64. */
export function subtract(to: usize, from: usize, count: u32): void {
  for (let i: u32 = 0; i < count; i++, to += 16, from += 16) {
    v128.store(to, i64x2.sub(v128.load(to), v128.load(from)));
  }
}

/** Lanes of `laneBits`, `perWord` to a word from the low bits up; those of a word do not meet. `count` is in words. */
export function pack(to: usize, from: usize, count: u32, perWord: u32, laneBits: u32): void {
  for (let i: u32 = 0; i < count; i++, to += 8) {
    let word: u64 = 0;
    let bit: u64 = 0;
    for (let r: u32 = 0; r < perWord; r++, from += 4, bit += laneBits) word |= <u64>load<u32>(from) << bit;
    store<u64>(to, word);
  }
}

/** The inverse of `pack`. Whether no bit is set above the lanes of a word. */
export function unpack(to: usize, from: usize, count: u32, perWord: u32, laneBits: u32): bool {
  const mask: u64 = ((<u64>1) << laneBits) - 1;
  let stray: u64 = 0;
  for (let i: u32 = 0; i < count; i++, from += 8) {
    let word = load<u64>(from);
    for (let r: u32 = 0; r < perWord; r++, to += 4) {
      store<u32>(to, <u32>(word & mask));
      word >>= laneBits;
    }
    // All 64 bits may be lanes; then this is 0, because each lane is narrower than a word.
    stray |= word;
  }
  return stray == 0;
}
