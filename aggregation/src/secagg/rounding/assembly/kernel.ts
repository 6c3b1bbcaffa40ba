// Clipping and stochastic rounding, in AssemblyScript for WebAssembly with 128-bit SIMD. `../reference.ts` is the slow twin: both do the
// same operations on binary64 numbers in the same order, so they agree in every bit. `npm run kernels` compiles this file into
// `../kernel-wasm.ts`. Nothing branches on, or is addressed by, a value or a coin.

/** Of two values what is rounded, below 2^53. */
// @ts-ignore: decorator
@inline
function exactTwo(values: v128, share: v128, clip: v128, unclip: v128, scale: v128, most: v128): v128 {
  const clipped = f64x2.pmin(clip, f64x2.pmax(unclip, values));
  // Rounding of the product may lie a hair above the top.
  return f64x2.pmin(most, f64x2.mul(f64x2.add(f64x2.mul(clipped, share), clip), scale));
}

/** Coins come above 2^20, where their 32 bits are those behind the point: whether each falls below the fraction. */
// @ts-ignore: decorator
@inline
function goesUp(coins: v128, million: v128, exact: v128, floor: v128): v128 {
  return f64x2.lt(f64x2.sub(coins, million), f64x2.sub(exact, floor));
}

/** `count`, a multiple of four, values, coins and lanes. Whether all values are finite; if not, the lanes mean nothing. */
export function round(
  lanes: usize,
  values: usize,
  coins: usize,
  count: u32,
  share: f64,
  clip: f64,
  scale: f64,
  laneMax: f64,
): bool {
  const shares = f64x2.splat(share);
  const clips = f64x2.splat(clip);
  const unclips = f64x2.splat(-clip);
  const scales = f64x2.splat(scale);
  const most = f64x2.splat(laneMax);
  const million = f64x2.splat(1048576);
  const exponent = i32x4.splat(0x41300000);
  const integers = f64x2.splat(4503599627370496);
  let residue = f32x4.splat(0);
  for (let i: u32 = 0; i < count; i += 4) {
    const four = v128.load(values);
    const toss = v128.load(coins);
    // x - x is 0 for every finite x and NaN otherwise.
    residue = f32x4.add(residue, f32x4.sub(four, four));
    const upper = v128.shuffle<u64>(four, four, 1, 1);
    const low = exactTwo(f64x2.promote_low_f32x4(four), shares, clips, unclips, scales, most);
    const high = exactTwo(f64x2.promote_low_f32x4(upper), shares, clips, unclips, scales, most);
    const lowFloor = f64x2.floor(low);
    const highFloor = f64x2.floor(high);
    const lowUp = goesUp(v128.shuffle<u32>(toss, exponent, 0, 4, 1, 5), million, low, lowFloor);
    const highUp = goesUp(v128.shuffle<u32>(toss, exponent, 2, 6, 3, 7), million, high, highFloor);
    // Above 2^52 the low word of a binary64 number is its integer, which spares a conversion; and what holds is -1.
    const floors = v128.shuffle<u32>(f64x2.add(lowFloor, integers), f64x2.add(highFloor, integers), 0, 2, 4, 6);
    v128.store(lanes, i32x4.sub(floors, v128.shuffle<u32>(lowUp, highUp, 0, 2, 4, 6)));
    values += 16;
    coins += 16;
    lanes += 16;
  }
  return i32x4.all_true(f32x4.eq(residue, f32x4.splat(0)));
}
