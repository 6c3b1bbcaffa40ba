// Rotation, unbiased rounding and exact norms of whole vectors, in AssemblyScript for WebAssembly with 128-bit SIMD. `../reference.ts` is
// the slow twin: both do the same operations on binary64 numbers in the same order, so they agree in every bit. `npm run kernels`
// compiles this file into `../kernel-wasm.ts`. Nothing branches on, or is addressed by, a value or a coin.

/** Blocks of 2^12 numbers stay in the first-level cache. */
const CACHED: u32 = 12;

/** x := Hx, the Hadamard transform of 2^log numbers, not normalised: layers from the widest to the narrowest. */
export function hadamard(x: usize, log: u32): void {
  if (log == 0) return;
  if (log == 1) {
    v128.store(x, lastLayer(v128.load(x)));
    return;
  }
  let level = log;
  if (level > CACHED) {
    if ((level - CACHED) & 1) {
      layer(x, 1, <usize>1 << (level - 1));
      level -= 1;
    }
    for (; level > CACHED; level -= 2) twoLayers(x, <usize>1 << (log - level), <usize>1 << (level - 2));
  }
  const size = <usize>1 << level;
  for (let block: usize = 0; block < <usize>1 << (log - level); block++) cached(x + ((block * size) << 3), level);
}

/** The transform of one block of 2^log numbers, log at least 2. */
function cached(x: usize, log: u32): void {
  let level = log;
  if (level & 1) {
    layer(x, 1, <usize>1 << (level - 1));
    level -= 1;
  }
  for (; level > 2; level -= 2) twoLayers(x, <usize>1 << (log - level), <usize>1 << (level - 2));
  const end = x + (<usize>8 << log);
  for (; x < end; x += 32) {
    const a = v128.load(x);
    const b = v128.load(x, 16);
    v128.store(x, lastLayer(f64x2.add(a, b)));
    v128.store(x, lastLayer(f64x2.sub(a, b)), 16);
  }
}

/** (a, b) becomes (a + b, a - b). */
// @ts-ignore: decorator
@inline
function lastLayer(pair: v128): v128 {
  const swapped = v128.shuffle<u64>(pair, pair, 1, 0);
  return f64x2.add(swapped, v128.xor(pair, i64x2(0, i64.MIN_VALUE)));
}

/** One layer of `blocks` blocks of two halves of `half` numbers, an even number. */
function layer(x: usize, blocks: usize, half: usize): void {
  const stride = half << 3;
  for (let block: usize = 0; block < blocks; block++) {
    const end = x + stride;
    for (; x < end; x += 16) {
      const a = v128.load(x);
      const b = v128.load(x + stride);
      v128.store(x, f64x2.add(a, b));
      v128.store(x + stride, f64x2.sub(a, b));
    }
    x += stride;
  }
}

/** Two layers of `blocks` blocks of four quarters of `quarter` numbers, an even number. */
function twoLayers(x: usize, blocks: usize, quarter: usize): void {
  const stride = quarter << 3;
  for (let block: usize = 0; block < blocks; block++) {
    const end = x + stride;
    for (; x < end; x += 16) {
      const a = v128.load(x);
      const b = v128.load(x + stride);
      const c = v128.load(x + 2 * stride);
      const d = v128.load(x + 3 * stride);
      const ac = f64x2.add(a, c);
      const bd = f64x2.add(b, d);
      const minusAc = f64x2.sub(a, c);
      const minusBd = f64x2.sub(b, d);
      v128.store(x, f64x2.add(ac, bd));
      v128.store(x + stride, f64x2.sub(ac, bd));
      v128.store(x + 2 * stride, f64x2.add(minusAc, minusBd));
      v128.store(x + 3 * stride, f64x2.sub(minusAc, minusBd));
    }
    x += 3 * stride;
  }
}

/** x_i := +-x_i times the factor, negative where bit i of `signs` is set; bits from the lowest of each byte. */
export function flip(x: usize, signs: usize, count: usize, factor: f64): void {
  for (let i: usize = 0; i < count; i++) {
    const sign = <u64>(load<u8>(signs + (i >> 3)) >> <u8>(i & 7)) << 63;
    const at = x + (i << 3);
    store<f64>(at, reinterpret<f64>(reinterpret<u64>(load<f64>(at)) ^ sign) * factor);
  }
}

/**
 * Rounds `count`, a multiple of four, numbers to integers: down, and one up where the coin, 32 bits, falls below the fraction.
 * Whether all are finite and of magnitudes up to 2^30; if not, the integers mean nothing.
 */
export function round(to: usize, x: usize, coins: usize, count: u32): bool {
  const limit = f64x2.splat(1073741824);
  let within = i64x2.splat(-1);
  for (let i: u32 = 0; i < count; i += 4) {
    const toss = v128.load(coins);
    const low = v128.load(x);
    const high = v128.load(x, 16);
    within = v128.and(within, f64x2.le(f64x2.abs(low), limit));
    within = v128.and(within, f64x2.le(f64x2.abs(high), limit));
    const lower = roundTwo(low, f64x2.convert_low_i32x4_u(toss));
    const upper = roundTwo(high, f64x2.convert_low_i32x4_u(v128.shuffle<u64>(toss, toss, 1, 1)));
    v128.store(to, v128.shuffle<u64>(lower, upper, 0, 2));
    to += 16;
    x += 32;
    coins += 16;
  }
  return i64x2.all_true(within);
}

// @ts-ignore: decorator
@inline
function roundTwo(values: v128, coins: v128): v128 {
  const floor = f64x2.floor(values);
  const coin = f64x2.mul(coins, f64x2.splat(2.3283064365386963e-10));
  const up = v128.and(f64x2.lt(coin, f64x2.sub(values, floor)), f64x2.splat(1));
  return i32x4.trunc_sat_f64x2_s_zero(f64x2.add(floor, up));
}

/**
 * Sums over `count`, a multiple of four, integers of 32 bits, exact for up to 2^31 of them: of the lower and of the upper 32 bits of
 * their squares, and of their magnitudes, as three 64-bit words at `to`.
 */
export function norms(to: usize, from: usize, count: u32): void {
  const lower32 = i64x2.splat(0xffffffff);
  const zero = i64x2.splat(0);
  let low = zero;
  let high = zero;
  let magnitudes = zero;
  for (let i: u32 = 0; i < count; i += 4) {
    const four = v128.load(from);
    const a = i64x2.extmul_low_i32x4_s(four, four);
    const b = i64x2.extmul_high_i32x4_s(four, four);
    low = i64x2.add(low, i64x2.add(v128.and(a, lower32), v128.and(b, lower32)));
    high = i64x2.add(high, i64x2.add(i64x2.shr_u(a, 32), i64x2.shr_u(b, 32)));
    // The magnitude of -2^31 is read without a sign.
    const magnitude = i32x4.abs(four);
    magnitudes = i64x2.add(magnitudes, i64x2.extend_low_i32x4_u(magnitude));
    magnitudes = i64x2.add(magnitudes, i64x2.extend_high_i32x4_u(magnitude));
    from += 16;
  }
  store<i64>(to, i64x2.extract_lane(low, 0) + i64x2.extract_lane(low, 1));
  store<i64>(to + 8, i64x2.extract_lane(high, 0) + i64x2.extract_lane(high, 1));
  store<i64>(to + 16, i64x2.extract_lane(magnitudes, 0) + i64x2.extract_lane(magnitudes, 1));
}
