/**
 * Noise on the integers: the ratios p(k) / p(k - 1) of its probabilities for k >= 1. All three are symmetric and log-concave, so that
 * the farthest shift is the worst (the loss rises with k) and ratios lose nothing to rounding.
 */
export interface IntegerNoise {
  /** log(p(k) / p(k - 1)), k = 1, 2, ...: falling. As many as matter, and `span` more. */
  readonly steps: Float64Array;
  /** Beyond it the probabilities are below e^-{@link CUT} of the largest. */
  readonly reach: number;
  /** When log-ratios of shifted probabilities are multiples of one number for every shift: that number for a shift of `shift`. */
  spacingOf(shift: number): number | null;
}

/** Log-probability below which the tail is cut and charged as an infinite loss: 1e-47 does not show in any delta. */
const CUT = 108;

/** p(k) proportional to e^{-k^2 / (2 variance)} (Canonne, Kamath and Steinke 2020). `span` is the farthest shift asked for. */
export function discreteGaussianNoise(variance: number, span: number): IntegerNoise {
  const reach = Math.ceil(Math.sqrt(2 * variance * CUT)) + 1;
  const steps = Float64Array.from({ length: reach + span + 1 }, (_, i) => -(2 * i + 1) / (2 * variance));
  return { steps, reach, spacingOf: (shift) => shift / (2 * variance) };
}

/** p(k) proportional to e^{-|k| / scale}. */
export function discreteLaplaceNoise(scale: number, span: number): IntegerNoise {
  const reach = Math.ceil(CUT * scale) + 1;
  return { steps: new Float64Array(reach + span + 1).fill(-1 / scale), reach, spacingOf: () => 1 / scale };
}

/**
 * p(k) = e^{-variance} I_k(variance): the difference of two Poisson variables of mean variance / 2 (Agarwal, Kairouz and Liu 2021). The
 * ratios I_k / I_{k-1} = 1 / (2k / variance + I_{k+1} / I_k) are summed from the far end, where all is positive.
 */
export function skellamNoise(variance: number, span: number): IntegerNoise {
  const reach = skellamReach(variance);
  const count = reach + span + 1;
  const steps = new Float64Array(count);
  let ratio = 0;
  for (let k = count + 60; k >= 1; k--) {
    ratio = 1 / ((2 * k) / variance + ratio);
    if (k <= count) steps[k - 1] = Math.log(ratio);
  }
  return { steps, reach, spacingOf: () => null };
}

/** k at which the tail, by the Chernoff bound with the moments e^{variance (cosh s - 1)}, is below the cut. */
function skellamReach(variance: number): number {
  let k = 1;
  const exponent = (): number => k * Math.asinh(k / variance) - variance * (Math.hypot(1, k / variance) - 1);
  while (exponent() < CUT) k = Math.ceil(k * 1.05) + 1;
  return k + 2;
}
