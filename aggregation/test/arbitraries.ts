/** What several tests draw: layouts, vectors, ids, updates. */
import { layoutOf, parseDigest, parseTaskId, roundIdOf } from '@carapace/aggregation';
import type { ClearUpdate, Digest, Layout, RoundId, TensorSpec } from '@carapace/aggregation';
import fc from 'fast-check';

export const digests: fc.Arbitrary<Digest> = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => parseDigest(Buffer.from(bytes).toString('hex')));

const words = fc.stringMatching(/^[a-z][a-z0-9]{0,6}(-[a-z0-9]{1,4}){0,2}$/);

export const roundIds: fc.Arbitrary<RoundId> = fc
  .tuple(fc.oneof(words, fc.constant('a'.repeat(63))), fc.integer({ min: 1, max: 999_999_999 }))
  .map(([task, number]) => roundIdOf(parseTaskId(task), number));

/** Finite float32 numbers of every magnitude. */
export const float32s: fc.Arbitrary<number> = fc.float({ noNaN: true, noDefaultInfinity: true });

export function vectors(length: number, values: fc.Arbitrary<number> = float32s): fc.Arbitrary<Float32Array> {
  return fc.array(values, { minLength: length, maxLength: length }).map((numbers) => Float32Array.from(numbers));
}

/** Float32 numbers of everyday size, spread evenly: what rounding bounds can be stated for. */
export const weights: fc.Arbitrary<number> = fc
  .integer({ min: -30_000, max: 30_000 })
  .map((n) => Math.fround(n / 10_000));

const shapes: fc.Arbitrary<number[]> = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 });

/** Each of the three policies, in any order; every variance with its mean, before or after it. */
export const tensorLists: fc.Arbitrary<TensorSpec[]> = fc
  .array(fc.record({ kind: fc.constantFrom('mean', 'keep', 'norm'), shape: shapes }), { minLength: 1, maxLength: 5 })
  .chain((blocks) => {
    const specs = blocks.flatMap(({ kind, shape }, index): TensorSpec[] => {
      if (kind !== 'norm') return [{ name: `${kind}/${index}`, shape, policy: kind === 'keep' ? 'keep' : 'mean' }];
      const meanTensor = `norm/${index}/moving_mean`;
      return [
        { name: meanTensor, shape, policy: 'mean' },
        { name: `norm/${index}/moving_variance`, shape, policy: 'pooled-variance', meanTensor },
      ];
    });
    return fc.shuffledSubarray(specs, { minLength: specs.length, maxLength: specs.length });
  });

export const layouts: fc.Arbitrary<Layout> = tensorLists.map(layoutOf);

const metricName = fc.oneof(
  fc.stringMatching(/^[a-z][a-zA-Z0-9]{0,10}$/),
  fc.constantFrom('a'.repeat(64), 'constructor', 'toString', 'valueOf'),
);

export const updates: fc.Arbitrary<ClearUpdate> = fc.record({
  round: roundIds,
  base: digests,
  layout: digests,
  examples: fc.integer({ min: 0, max: 4_294_967_295 }),
  metrics: fc.dictionary(metricName, fc.double({ noNaN: true, noDefaultInfinity: true }), { maxKeys: 32 }),
  delta: fc.nat({ max: 20 }).chain((length) => vectors(length, fc.float())),
});
