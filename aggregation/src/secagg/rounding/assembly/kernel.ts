// Clipping and stochastic rounding, in AssemblyScript for WebAssembly with 128-bit SIMD. `../reference.ts` is the slow twin: both do the
// same operations on binary64 numbers in the same order, so they agree in every bit. `npm run kernels` compiles this file into
// `../kernel-wasm.ts`. Nothing branches on, or is addressed by, a value or a coin.

/** The lanes of two values, as the low words of two numbers: floor, and one more where the coin falls below the fraction. */
// @ts-ignore: decorator
@inline
function roundTwo(values: v128, coins: v128, share: v128, clip: v128, scale: v128, most: v128): v128 {
  const clipped = f64x2.pmin(clip, f64x2.pmax(f64x2.neg(clip), values));
  // Rounding of the product may lie a hair above the top.
  const exact = f64x2.pmin(most, f64x2.mul(f64x2.add(f64x2.mul(clipped, share), clip), scale));
  const floor = f64x2.floor(exact);
  const coin = f64x2.mul(coins, f64x2.splat(2.3283064365386963e-10));
  const up = v128.and(f64x2.lt(coin, f64x2.sub(exact, floor)), f64x2.splat(1));
  // Above 2^52 the low word of a binary64 number is its integer, which spares a conversion.
  return f64x2.add(f64x2.add(floor, up), f64x2.splat(4503599627370496));
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
  const scales = f64x2.splat(scale);
  const most = f64x2.splat(laneMax);
  let residue = f32x4.splat(0);
  for (let i: u32 = 0; i < count; i += 4) {
    const four = v128.load(values);
    const toss = v128.load(coins);
    // x - x is 0 for every finite x and NaN otherwise.
    residue = f32x4.add(residue, f32x4.sub(four, four));
    const low = roundTwo(f64x2.promote_low_f32x4(four), f64x2.convert_low_i32x4_u(toss), shares, clips, scales, most);
    const upperFour = v128.shuffle<u64>(four, four, 1, 1);
    const upperToss = v128.shuffle<u64>(toss, toss, 1, 1);
    const high = roundTwo(
      f64x2.promote_low_f32x4(upperFour),
      f64x2.convert_low_i32x4_u(upperToss),
      shares,
      clips,
      scales,
      most,
    );
    v128.store(lanes, v128.shuffle<u32>(low, high, 0, 2, 4, 6));
    values += 16;
    coins += 16;
    lanes += 16;
  }
  return i32x4.all_true(f32x4.eq(residue, f32x4.splat(0)));
}
