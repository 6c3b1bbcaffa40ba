/** Google's bound for a cohort that is cut, which prices a full one as a replacement: looser than ours, and what the reference values are of. */
import { exactEpsilon } from '../contour/exact.ts';
import type { TruncatedPoisson } from '../events/event.ts';
import { addition, coin, exchange, removal } from '../pairs/shift-mixture.ts';
import type { ShiftMixture } from '../pairs/shift-mixture.ts';
import { truncatedPair, truncation } from '../pairs/truncated-poisson.ts';
import { chargesOf } from './charges.ts';
import type { ReferenceEntry } from './entry.ts';

export function cohortCutEpsilon(entry: ReferenceEntry): number | undefined {
  const charges = chargesOf(entry);
  if (charges === undefined) return undefined;
  const toward = (whole: (probability: number) => ShiftMixture): number => {
    const composition = charges.map(({ event, count }) => {
      const { cut, within } = truncation(event as TruncatedPoisson);
      const { probability, noiseMultiplier } = event as TruncatedPoisson;
      const mixtures = { whole: whole(probability), cut: exchange(within, 2, 2) };
      const pair = truncatedPair(noiseMultiplier, cut, mixtures);
      return { key: JSON.stringify(['cut', mixtures, noiseMultiplier, cut]), pair, count };
    });
    return exactEpsilon(composition, entry.params.number('delta')).value;
  };
  return Math.max(
    toward((probability) => removal(coin(probability, 1))),
    toward((probability) => addition(coin(probability, 1))),
  );
}
