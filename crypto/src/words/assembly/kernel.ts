// Sums of 64-bit words, in AssemblyScript for WebAssembly with 128-bit SIMD; `npm run kernels` compiles this file into
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
