import {
  judgeClearUpdate,
  encodeClearUpdate,
  layoutOf,
  parseDigest,
  parseRoundId,
  WeightedSum,
} from '@carapace/aggregation';
import { figure, measure, perSecond, readable } from '../../scripts/bench-kit.ts';
import type { Bench } from '../../scripts/bench-kit.ts';

const UPDATES = 100;
const PARAMETERS = 1_000_000;
const BYTES = 4 * PARAMETERS;

export const bench: Bench = {
  description: 'weighted sum of 100 updates of 1,000,000 float32 parameters, beside a plain loop',
  method:
    'ten distinct updates in turn, 100 in all, summed into binary64 by WeightedSum and by a bare loop over the same arrays; then the same with the bytes decoded and judged first, as the aggregation thread does; 2 warm-ups, 7 repeats, medians',
  run: async () => {
    const layout = layoutOf([{ name: 'weights', shape: [PARAMETERS], policy: 'mean' }]);
    const base = parseDigest('0'.repeat(64));
    const round = parseRoundId('bench.1').id;
    const deltas = Array.from({ length: 10 }, (_value, seed) => noise(seed + 1));
    const encoded = deltas.map((delta) =>
      encodeClearUpdate({ round, base, layout: layout.digest, examples: 100, metrics: {}, delta }),
    );
    const at = <T>(items: readonly T[], i: number): T => items[i % items.length] as T;

    const loop = await measure(() =>
      perSecond(UPDATES, () => {
        const sum = new Float64Array(PARAMETERS);
        for (let i = 0; i < UPDATES; i++) addPlainly(sum, at(deltas, i), 100);
      }),
    );
    const summed = await measure(() =>
      perSecond(UPDATES, () => {
        const sum = new WeightedSum(PARAMETERS);
        for (let i = 0; i < UPDATES; i++) sum.accumulate(at(deltas, i), 100);
      }),
    );
    const judged = await measure(() =>
      perSecond(UPDATES, () => {
        const sum = new WeightedSum(PARAMETERS);
        for (let i = 0; i < UPDATES; i++) {
          const verdict = judgeClearUpdate(at(encoded, i), { round, base, layout, maxExamples: 1000, privacy: null });
          if (verdict.kind === 'refused') throw new Error(verdict.why);
          sum.accumulate(verdict.update.delta, verdict.update.examples);
        }
      }),
    );
    const limit = `the plain loop: ${readable(loop.median)} updates/s, ${megabytes(loop.median)} MB/s`;
    return [
      figure('WeightedSum', 'updates/s', summed, { goal: 0.8 * loop.median, anchor: limit }),
      figure('decode, judge and WeightedSum', 'updates/s', judged, { anchor: limit }),
      figure('decode, judge and WeightedSum', 'MB/s', scaled(judged, BYTES / 1e6), { anchor: limit }),
    ];
  },
};

function addPlainly(sum: Float64Array, delta: Float32Array, weight: number): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += weight * delta[i]!;
}

/** A linear congruential stream: the values do not matter, but must not be all alike. */
function noise(seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: PARAMETERS }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32 - 0.5;
  });
}

function megabytes(updates: number): string {
  return readable((updates * BYTES) / 1e6);
}

function scaled(
  { median, spread: [low, high] }: { readonly median: number; readonly spread: readonly [number, number] },
  factor: number,
): { readonly median: number; readonly spread: readonly [number, number] } {
  return { median: median * factor, spread: [low * factor, high * factor] };
}
