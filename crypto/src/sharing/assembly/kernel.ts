// Linear combinations over GF(2^8), in AssemblyScript for WebAssembly with 128-bit SIMD. `../field.ts` has the slow twin; `npm run
// kernels` compiles this file into `../kernel-wasm.ts`. Factors are public and address the tables of their products; what they are
// multiplied by may be secret, and selects within a register only: no branch depends on it and no address.

/** 16 elements times the factor whose products with 0 to 15 and with 16 times these are at `table`. */
// @ts-ignore: decorator
@inline
function multiply(elements: v128, table: usize): v128 {
  const nibble = i8x16.splat(0x0f);
  const low = i8x16.swizzle(v128.load(table), v128.and(elements, nibble));
  const high = i8x16.swizzle(v128.load(table, 16), v128.and(i16x8.shr_u(elements, 4), nibble));
  return v128.xor(low, high);
}

/**
 * to := sum over i of factor_i * value_i: `count` values of `vectors` vectors each, one behind the other, a byte for each factor, and for each
 * possible factor 32 bytes of tables.
 */
export function combine(to: usize, values: usize, vectors: u32, count: u32, factors: usize, tables: usize): void {
  const stride = <usize>vectors << 4;
  for (let v: u32 = 0; v < vectors; v++) {
    let sum = i8x16.splat(0);
    let at = values + (<usize>v << 4);
    for (let i: u32 = 0; i < count; i++) {
      sum = v128.xor(sum, multiply(v128.load(at), tables + (<usize>load<u8>(factors + i) << 5)));
      at += stride;
    }
    v128.store(to + (<usize>v << 4), sum);
  }
}
