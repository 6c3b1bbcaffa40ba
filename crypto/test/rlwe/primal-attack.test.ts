import { RLWE_RINGS } from '@carapace/crypto';
import type { RlweRingName } from '@carapace/crypto';
import { describe, expect, test } from 'vitest';
import { modulusOf } from '../../src/rlwe/ring.ts';

// The primal attack (unique shortest vector, Kannan's embedding) in the geometric series model of Alkim et al. 2016, section 6.3, with the
// secret scaled to the width of the error. The figures are those of `docs/protocol/rlwe-mask.md`; no other attack is estimated here.

interface Instance {
  readonly n: number;
  readonly modulusBits: number;
  readonly secretSigma: number;
  readonly errorSigma: number;
}

/** Log2 of the root Hermite factor of BKZ with this block size (Chen 2013). */
function logDelta(block: number): number {
  return Math.log2((block / (2 * Math.PI * Math.E)) * (Math.PI * block) ** (1 / block)) / (2 * (block - 1));
}

/** The dimension in which a block size finds the error, if there is one. */
function winningDimension({ n, modulusBits, secretSigma, errorSigma }: Instance, block: number): number | undefined {
  for (let samples = n / 8; samples < 2.2 * n; samples += 64) {
    const d = n + samples + 1;
    const volume = (samples * modulusBits + n * Math.log2(errorSigma / secretSigma)) / d;
    if (Math.log2(block) / 2 + Math.log2(errorSigma) <= (2 * block - d - 1) * logDelta(block) + volume) return d;
  }
  return undefined;
}

function leastBlock(instance: Instance): { readonly block: number; readonly d: number } {
  let low = 60;
  let high = 2000;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (winningDimension(instance, middle) === undefined) low = middle;
    else high = middle;
  }
  return { block: high, d: winningDimension(instance, high)! };
}

/** The cost model behind the table of the standard: sieving (Becker et al. 2016) in 8 d blocks. */
function classicalBits(instance: Instance): number {
  const { block, d } = leastBlock(instance);
  return 0.292 * block + 16.4 + Math.log2(8 * d);
}

const ternary = { secretSigma: Math.sqrt(2 / 3), errorSigma: 8 / Math.sqrt(2 * Math.PI) };

describe('the checker', () => {
  test.each([
    [2048, 54],
    [4096, 109],
    [8192, 218],
    [16384, 438],
  ])('finds about 128 bits where the standard does: dimension %i, %i bits', (n, modulusBits) => {
    const bits = classicalBits({ n, modulusBits, ...ternary });
    expect(bits).toBeGreaterThan(126);
    expect(bits).toBeLessThan(131);
  });
});

test.each<[RlweRingName, number, number]>([
  ['rlwe-4096-90', 448, 163],
  ['rlwe-8192-180', 437, 160],
  ['rlwe-8192-210', 349, 135],
])('%s, with the sums of keys and errors known: block size %i, 2^%i', (name, block, bits) => {
  const ring = RLWE_RINGS[name];
  const instance = {
    n: ring.dimension,
    modulusBits: modulusOf(ring).toString(2).length,
    // One of two honest clients: the other half of each variance is given away by the sum.
    secretSigma: Math.sqrt(ring.secret.twiceVariance / 4),
    errorSigma: Math.sqrt(ring.error.twiceVariance / 4),
  };
  expect(leastBlock(instance).block).toBe(block);
  expect(Math.floor(classicalBits(instance))).toBe(bits);
  expect(bits).toBeGreaterThanOrEqual(128);
});
