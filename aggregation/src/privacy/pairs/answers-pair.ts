/** Pairs of few outputs: black boxes and randomised response. */
import { atomPair } from './loss-pair.ts';
import type { LossPair } from './loss-pair.ts';

/** The pair that dominates everything with that epsilon and delta (Kairouz, Oh and Viswanath 2015). */
export function epsilonDeltaPair(epsilon: number, delta: number): LossPair {
  const share = (1 - delta) / (1 + Math.exp(-epsilon));
  const masses = [share, (1 - delta) / (1 + Math.exp(epsilon))];
  return atomPair([epsilon, -epsilon], masses, { infinite: delta, spacing: epsilon > 0 ? epsilon : null });
}

/** One true answer instead of another. */
export function replacedAnswerPair(noise: number, buckets: number): LossPair {
  const other = noise / buckets;
  const own = 1 - noise + other;
  const loss = Math.log1p(((1 - noise) * buckets) / noise);
  const masses = [own, other, (buckets - 2) * other];
  return atomPair([loss, -loss, 0], masses, { spacing: loss > 0 ? loss : null });
}

/** A true answer against one drawn evenly, and the other way round. */
export function droppedAnswerPairs(
  noise: number,
  buckets: number,
): { readonly remove: LossPair; readonly add: LossPair } {
  const other = noise / buckets;
  const own = 1 - noise + other;
  const [more, less] = [Math.log(own * buckets), Math.log(noise)];
  return {
    remove: atomPair([more, less], [own, (buckets - 1) * other]),
    add: atomPair([-more, -less], [1 / buckets, (buckets - 1) / buckets]),
  };
}
