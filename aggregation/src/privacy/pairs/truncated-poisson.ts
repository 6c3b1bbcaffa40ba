/**
 * A Poisson cohort that is cut to `cap` members at random. Whether `cap` or more others were sampled does not depend on the person, so it may
 * as well be public: the pair is a mixture of two.
 *
 * - With fewer others: plain Poisson sampling.
 * - Otherwise the person, with the probability q', is in the cohort in place of another: q' = P(more than cap are sampled) cap / population /
 *   P(cap or more others are). Against an input without the person the sum moves by 2C; against one whose part is 0 it moves by 2C one way and by
 *   C the other; against one who is somebody else, by 2C each way. The pair of {@link exchange} dominates these (docs/privacy/accounting.md).
 */
import { binomialTail } from '../numerics/binomial.ts';
import type { TruncatedPoisson } from '../events/event.ts';
import { Curve } from './curve.ts';
import { curvePair } from './loss-pair.ts';
import type { LossPair } from './loss-pair.ts';
import { GAUSSIAN_NOISE } from './noise.ts';
import type { ShiftMixture } from './shift-mixture.ts';

/** Probability that the cohort is cut in sight of the person, and that the person is in it then. */
export function truncation({ population, probability, cap }: TruncatedPoisson): {
  readonly cut: number;
  readonly within: number;
} {
  const cut = binomialTail(population - 1, probability, cap);
  if (cut === 0) return { cut: 0, within: 0 };
  return { cut, within: Math.min(1, (binomialTail(population, probability, cap + 1) * (cap / population)) / cut) };
}

/** @param mixtures what a person does to a cohort that is not cut, and to one that is */
export function truncatedPair(
  scale: number,
  cut: number,
  mixtures: { readonly whole: ShiftMixture; readonly cut: ShiftMixture },
): LossPair {
  const curves = [];
  if (cut < 1) curves.push(new Curve(GAUSSIAN_NOISE, scale, mixtures.whole, { weight: 1 - cut }));
  if (cut > 0) curves.push(new Curve(GAUSSIAN_NOISE, scale, mixtures.cut, { weight: cut }));
  return curvePair(curves);
}
