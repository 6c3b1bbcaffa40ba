import {
  checkThresholds,
  COMPLETE_GRAPH_LIMIT,
  leastThreshold,
  sparseGraph,
  thresholdsFor,
} from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const refused = (clients: number, threshold: number, minimumSurvivors: number, colluding: number): void => {
  expect(() => checkThresholds(clients, { threshold, minimumSurvivors, colluding })).toThrow('SECAGG_PARAMETERS');
};

describe('thresholds of the complete graph', () => {
  test('what is accepted leaves no two sets of survivors that c colluders could both have unmasked', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 255 }), fc.nat(255), fc.nat(255), fc.nat(255), (n, t, m, c) => {
        try {
          checkThresholds(n, { threshold: t, minimumSurvivors: m, colluding: c });
        } catch {
          return;
        }
        // Two views take 2(t - c) honest answers, and an honest client answers once.
        expect(2 * (t - c)).toBeGreaterThan(n - c);
        expect(t).toBeLessThanOrEqual(m);
        expect(m).toBeLessThanOrEqual(n);
        expect(m - c).toBeGreaterThanOrEqual(2);
      }),
      { numRuns: 2000 },
    );
  });

  test('the least threshold is accepted by the rule, and one below is not', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 255 }), fc.double({ min: 0, max: 1, noNaN: true }), (n, share) => {
        const c = Math.floor(share * (n - 2));
        const t = leastThreshold(n, c);
        checkThresholds(n, { threshold: t, minimumSurvivors: Math.max(t, c + 2), colluding: c });
        refused(n, t - 1, n, c);
      }),
    );
  });

  test('the recommended ones hold for every cohort size', () => {
    for (let n = 2; n <= COMPLETE_GRAPH_LIMIT; n++) {
      const thresholds = thresholdsFor(n);
      checkThresholds(n, thresholds);
      if (n >= 12) expect(thresholds.colluding).toBeGreaterThanOrEqual(Math.floor(n / 3) - 1);
      if (n >= 12) expect(n - thresholds.threshold).toBeGreaterThanOrEqual(Math.ceil(n / 3) - 1);
    }
  });

  test('refused', () => {
    refused(1, 1, 1, 0);
    refused(256, 200, 200, 10);
    refused(10, 5, 10, 0);
    refused(10, 8, 10, 6);
    refused(10, 11, 11, 0);
    refused(10, 8, 7, 0);
    refused(10, 8, 11, 0);
    refused(10, 10, 10, 9);
    refused(10, 8, 9, -1);
  });
});

describe('k and t of the sparse graph', () => {
  // The table of secure aggregation on sparse graphs: privacy 2^-40, abort 2^-30; [k, t] for n = 100, 200, 500, 1000, 10^4.
  const table: [number, number, [number, number][]][] = [
    [
      0.05,
      0.05,
      [
        [22, 11],
        [26, 13],
        [30, 16],
        [34, 18],
        [38, 21],
      ],
    ],
    [
      0.1,
      0.1,
      [
        [32, 16],
        [38, 20],
        [46, 25],
        [52, 28],
        [60, 32],
      ],
    ],
    [
      0.2,
      0.1,
      [
        [44, 22],
        [50, 31],
        [66, 41],
        [76, 47],
        [90, 55],
      ],
    ],
    [
      0.2,
      0.2,
      [
        [56, 28],
        [68, 36],
        [98, 51],
        [112, 59],
        [136, 71],
      ],
    ],
    [
      0.2,
      0.3,
      [
        [70, 35],
        [104, 52],
        [170, 85],
        [214, 107],
        [296, 148],
      ],
    ],
    [
      1 / 3,
      0.1,
      [
        [62, 35],
        [70, 49],
        [100, 69],
        [114, 78],
        [144, 98],
      ],
    ],
    [
      1 / 3,
      0.3,
      [
        [98, 49],
        [122, 65],
        [212, 113],
        [280, 149],
        [410, 218],
      ],
    ],
  ];
  test.each(table)('corrupt %f, drop-outs %f', (corrupt, dropouts, row) => {
    const sizes = [100, 200, 500, 1000, 10_000];
    const found = sizes.map((clients) => sparseGraph({ clients, corrupt, dropouts, privacyBits: 40, abortBits: 30 }));
    expect(found.map((graph) => [graph?.neighbours, graph?.threshold])).toEqual(row);
  });

  test('where no sparse graph will do, there is none', () => {
    expect(sparseGraph({ clients: 20, corrupt: 1 / 3, dropouts: 0.3, privacyBits: 40, abortBits: 30 })).toBeUndefined();
  });
});
