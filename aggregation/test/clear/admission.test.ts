import { encodeClearUpdate, judgeClearUpdate, layoutOf, serverStep, WeightedSum } from '@carapace/aggregation';
import type { ClearExpectation, ClearUpdate, Digest, RoundId, UpdateRefusal } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { vectors, weights } from '../arbitraries.ts';

const LAYOUT = layoutOf([
  { name: 'kernel', shape: [2, 2], policy: 'mean' },
  { name: 'count', shape: [], policy: 'keep' },
]);
const EXPECTED: ClearExpectation = {
  round: 'mnist.7' as RoundId,
  base: '11'.repeat(32) as Digest,
  layout: LAYOUT,
  maxExamples: 1_000,
  privacy: null,
};
const GOOD: ClearUpdate = {
  round: EXPECTED.round,
  base: EXPECTED.base,
  layout: LAYOUT.digest,
  examples: 600,
  metrics: { loss: 1 },
  delta: Float32Array.of(1, 2, 3, 4, 0),
};
const judge = (update: ClearUpdate) => judgeClearUpdate(encodeClearUpdate(update), EXPECTED);

test('the right update is admitted, as it was made', () => {
  expect(judge(GOOD)).toEqual({ kind: 'admitted', update: GOOD });
  expect(judge({ ...GOOD, examples: 1 }).kind).toBe('admitted');
  expect(judge({ ...GOOD, examples: 1_000 }).kind).toBe('admitted');
  expect(judge({ ...GOOD, delta: new Float32Array(5).fill(3.4028234663852886e38) }).kind).toBe('admitted');
});

const WRONG: Readonly<Record<string, readonly [UpdateRefusal, Partial<ClearUpdate>]>> = {
  'an earlier round': ['UPDATE_STALE', { round: 'mnist.6' as RoundId }],
  'the same number of another task': ['UPDATE_STALE', { round: 'fashion.7' as RoundId }],
  'another base': ['UPDATE_STALE', { base: '12'.repeat(32) as Digest }],
  'another layout': ['UPDATE_SHAPE', { layout: '22'.repeat(32) as Digest }],
  'one parameter short': ['UPDATE_SHAPE', { delta: new Float32Array(4) }],
  'one parameter more': ['UPDATE_SHAPE', { delta: new Float32Array(6) }],
  'no parameters': ['UPDATE_SHAPE', { delta: new Float32Array(0) }],
  'no examples': ['UPDATE_WEIGHT', { examples: 0 }],
  'one example too many': ['UPDATE_WEIGHT', { examples: 1_001 }],
  'all the examples there are': ['UPDATE_WEIGHT', { examples: 4_294_967_295 }],
  'a NaN first': ['UPDATE_NONFINITE', { delta: Float32Array.of(NaN, 0, 0, 0, 0) }],
  'a NaN last, where nothing is averaged': ['UPDATE_NONFINITE', { delta: Float32Array.of(0, 0, 0, 0, NaN) }],
  'an infinity': ['UPDATE_NONFINITE', { delta: Float32Array.of(0, Infinity, 0, 0, 0) }],
  'infinities that cancel': ['UPDATE_NONFINITE', { delta: Float32Array.of(Infinity, -Infinity, 0, 0, 0) }],
};

test.each(Object.entries(WRONG))('%s', (_name, [code, change]) => {
  expect(judge({ ...GOOD, ...change })).toMatchObject({ kind: 'refused', code });
});

describe('bytes that are no update', () => {
  test.each([
    ['none', new Uint8Array(0)],
    ['one too few', encodeClearUpdate(GOOD).slice(0, -1)],
    ['one too many', Uint8Array.of(...encodeClearUpdate(GOOD), 0)],
    ['a picture', Uint8Array.of(0x89, 0x50, 0x4e, 0x47)],
  ])('%s', (_name, bytes) => {
    expect(judgeClearUpdate(bytes, EXPECTED)).toMatchObject({ kind: 'refused', code: 'UPDATE_MALFORMED' });
  });
});

describe('laws', () => {
  test('every byte string has a verdict, and no change of one byte is admitted as the same update', () => {
    const good = encodeClearUpdate(GOOD);
    fc.assert(
      fc.property(fc.nat({ max: good.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Uint8Array.from(good);
        changed[at] = changed[at]! ^ flip;
        const verdict = judgeClearUpdate(changed, EXPECTED);
        if (verdict.kind === 'admitted') expect(encodeClearUpdate(verdict.update)).toEqual(changed);
      }),
      { numRuns: 2_000 },
    );
  });

  /** An aggregate over uploads as the coordinator makes it: what is admitted counts, once a client. */
  function aggregate(uploads: readonly (readonly [client: string, bytes: Uint8Array])[]): Float32Array {
    const admitted = new Map<string, ClearUpdate>();
    for (const [client, bytes] of uploads) {
      const verdict = judgeClearUpdate(bytes, EXPECTED);
      if (verdict.kind === 'admitted' && !admitted.has(client)) admitted.set(client, verdict.update);
    }
    const sum = new WeightedSum(LAYOUT.size);
    for (const client of [...admitted.keys()].sort()) {
      const { delta, examples } = admitted.get(client)!;
      sum.accumulate(delta, examples);
    }
    const base = Float32Array.of(0.1, 0.2, 0.3, 0.4, 7);
    return serverStep({ kind: 'fedavg', serverLearningRate: 1 }, LAYOUT, base, sum.mean());
  }

  test('what is refused, and whatever comes twice, changes no byte of the result, wherever it comes', () => {
    const honest = fc.array(fc.tuple(vectors(5, weights), fc.integer({ min: 1, max: 1_000 })), {
      minLength: 1,
      maxLength: 6,
    });
    const hostile = fc.array(
      fc.tuple(
        fc.nat(),
        fc.oneof(fc.constantFrom(...Object.values(WRONG).map(([, change]) => change)), fc.constant(null)),
      ),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(honest, hostile, (updates, intruders) => {
        const uploads = updates.map(
          ([delta, examples], client) => [`cl_${client}`, encodeClearUpdate({ ...GOOD, delta, examples })] as const,
        );
        const clean = aggregate(uploads);
        const mixed: (readonly [string, Uint8Array])[] = [...uploads];
        for (const [position, change] of intruders) {
          const at = position % (mixed.length + 1);
          const earlier = mixed[position % mixed.length]!;
          mixed.splice(
            at,
            0,
            change === null ? earlier : [`cl_x${position}`, encodeClearUpdate({ ...GOOD, ...change })],
          );
        }
        expect(new Uint8Array(aggregate(mixed).buffer)).toEqual(new Uint8Array(clean.buffer));
      }),
    );
  });
});
