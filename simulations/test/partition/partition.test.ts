import { byDirichlet, byQuantity, byShards, iid, seededRandom } from '@carapace/simulations';
import type { Partition, SeededRandom } from '@carapace/simulations';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

interface Request {
  readonly labels: readonly number[];
  readonly parts: number;
  readonly alpha: number;
  readonly seed: string;
}

type Partitioner = (request: Request, random: SeededRandom) => Partition;

const PARTITIONERS: Readonly<Record<string, Partitioner>> = {
  iid: ({ labels, parts }, random) => iid(labels.length, parts, random),
  byDirichlet: ({ labels, parts, alpha }, random) => byDirichlet(labels, parts, alpha, random, 1),
  byShards: ({ labels, parts }, random) => byShards(labels, parts, 2, random),
  byQuantity: ({ labels, parts, alpha }, random) => byQuantity(labels.length, parts, alpha, random, 2),
};

const requests: fc.Arbitrary<Request> = fc
  .record({
    parts: fc.integer({ min: 1, max: 8 }),
    each: fc.integer({ min: 4, max: 20 }),
    odd: fc.nat({ max: 7 }),
    classes: fc.integer({ min: 1, max: 10 }),
    alpha: fc.constantFrom(0.3, 1, 10, 1e6),
    seed: fc.string(),
  })
  .map(({ parts, each, odd, classes, ...rest }) => {
    const labels = Array.from({ length: parts * each + odd }, (_value, index) => (index * 7) % classes);
    return { labels, parts, ...rest };
  });

const plain = (partition: Partition): number[][] => partition.map((part) => [...part]);

describe.each(Object.entries(PARTITIONERS))('%s', (_name, partition) => {
  const cut = (request: Request): Partition | null => {
    try {
      return partition(request, seededRandom(request.seed));
    } catch (error) {
      expect(error).toMatchObject({ code: 'PARTITION_INVALID' });
      return null;
    }
  };

  test('gives every example to exactly one part, and no part is empty', () => {
    fc.assert(
      fc.property(requests, (request) => {
        const parts = cut(request);
        if (parts === null) return;
        expect(parts.length).toBe(request.parts);
        expect(
          plain(parts)
            .flat()
            .sort((a, b) => a - b),
        ).toEqual(request.labels.map((_label, index) => index));
        for (const part of parts) {
          expect(part.length).toBeGreaterThan(0);
          expect([...part]).toEqual([...part].sort((a, b) => a - b));
        }
      }),
      { numRuns: 300 },
    );
  });

  test('cuts the same for the same seed, otherwise for another', () => {
    const labels = Array.from({ length: 400 }, (_value, index) => index % 10);
    const request = { labels, parts: 5, alpha: 1, seed: 'a' };
    expect(cut(request)).not.toBeNull();
    expect(cut(request)).toEqual(cut(request));
    expect(cut({ ...request, seed: 'b' })).not.toEqual(cut(request));
  });

  test('refuses what cannot be cut', () => {
    const labels = Array.from({ length: 40 }, () => 0);
    for (const parts of [0, -1, 41, 2.5, NaN, Infinity])
      expect(() => partition({ labels, parts, alpha: 1, seed: '' }, seededRandom(''))).toThrow(/^PARTITION_INVALID/);
  });
});

describe('iid', () => {
  test('sizes differ by one at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 40 }), (count, parts) => {
        fc.pre(parts <= count);
        const sizes = iid(count, parts, seededRandom('iid')).map((part) => part.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('label skew', () => {
  const labels = Array.from({ length: 10_000 }, (_value, index) => index % 10);
  /** Mean over the parts of the share of the most frequent class: 0.1 is even, 1 is one class a part. */
  const skew = (alpha: number): number => {
    const partition = byDirichlet(labels, 10, alpha, seededRandom(`skew/${alpha}`));
    const tops = plain(partition).map((part) => {
      const counts = Array.from(
        { length: 10 },
        (_value, label) => part.filter((index) => labels[index] === label).length,
      );
      return Math.max(...counts) / part.length;
    });
    return tops.reduce((sum, top) => sum + top, 0) / tops.length;
  };

  test('grows as alpha falls', () => {
    const skews = [1_000, 1, 0.1].map(skew);
    expect(skews[0]).toBeLessThan(0.13);
    expect(skews[1]).toBeGreaterThan(0.2);
    expect(skews[2]).toBeGreaterThan(0.4);
    expect([...skews].sort((a, b) => a - b)).toEqual(skews);
  });

  test('every part has the minimum that is asked for', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 60 }), (seed, minimum) => {
        const partition = byDirichlet(labels.slice(0, 2_000), 8, 0.5, seededRandom(seed), minimum);
        for (const part of partition) expect(part.length).toBeGreaterThanOrEqual(minimum);
      }),
      { numRuns: 30 },
    );
  });

  test('an alpha out of range is refused, by quantity too', () => {
    for (const alpha of [0, -1, NaN, Infinity, 1e7]) {
      expect(() => byDirichlet(labels, 2, alpha, seededRandom(''))).toThrow(/^PARTITION_INVALID: alpha is /);
      expect(() => byQuantity(100, 2, alpha, seededRandom(''))).toThrow(/^PARTITION_INVALID: alpha is /);
    }
  });

  test('what no draw gives is refused with the way out, not tried for ever', () => {
    const one = Array.from({ length: 1_000 }, () => 0);
    expect(() => byDirichlet(one, 10, 1e-6, seededRandom(''))).toThrow(/raise alpha or ask for fewer parts/);
  });

  test('a class may have hundreds of thousands of examples', () => {
    const one = new Uint8Array(300_000);
    const [only] = byDirichlet(one, 1, 1, seededRandom(''));
    expect(only?.length).toBe(300_000);
  });
});

describe('shards', () => {
  test('a part has as many classes as shards at most, when shards do not straddle classes (McMahan et al. 2017)', () => {
    const labels = Array.from({ length: 1_000 }, (_value, index) => index % 10);
    fc.assert(
      fc.property(fc.string(), (seed) => {
        const parts = byShards(labels, 10, 2, seededRandom(seed));
        for (const part of parts) {
          expect(part.length).toBe(100);
          expect(new Set([...part].map((index) => labels[index])).size).toBeLessThanOrEqual(2);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('a fraction of a shard, or none, is refused', () => {
    for (const shards of [0, -1, 0.5, 1.5, NaN])
      expect(() => byShards([0, 1, 2, 3], 2, shards, seededRandom(''))).toThrow(/^PARTITION_INVALID/);
  });
});

describe('quantity skew', () => {
  test('sizes spread as alpha falls, and none is below the minimum', () => {
    const spread = (alpha: number): number => {
      const sizes = byQuantity(10_000, 10, alpha, seededRandom('quantity'), 10).map((part) => part.length);
      expect(Math.min(...sizes)).toBeGreaterThanOrEqual(10);
      return Math.max(...sizes) - Math.min(...sizes);
    };
    expect(spread(1e6)).toBeLessThan(30);
    expect(spread(0.1)).toBeGreaterThan(2_000);
  });
});
