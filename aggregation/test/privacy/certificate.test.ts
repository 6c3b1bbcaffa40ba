/** The parts that the certificate rests on, each against an independent computation. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cumulant } from '../../src/privacy/contour/cumulant.ts';
import { singleStepDelta } from '../../src/privacy/contour/single-step.ts';
import { RELATIONS } from '../../src/privacy/events/event.ts';
import { upperQuantile, upperTail, logUpperTail, UNIT } from '../../src/privacy/numerics/normal.ts';
import { fftError, realFft } from '../../src/privacy/numerics/real-fft.ts';
import { dominatingPairs } from '../../src/privacy/pairs/dominating.ts';
import { discretise } from '../../src/privacy/pld/discretise.ts';
import type { Discretised, Lattice } from '../../src/privacy/pld/discretise.ts';
import { tiltedSpectrum } from '../../src/privacy/pld/spectrum.ts';
import { event } from './charges.ts';

describe('normal tails', () => {
  /** P(X > x), 50 digits cut to 21. */
  const exact: readonly (readonly [number, string])[] = [
    [0.1, '0.460172162722971016331'],
    [0.5, '0.308537538725986896362'],
    [1.5, '0.0668072012688580660045'],
    [3, '0.00134989803163009452665'],
    [4.7, '0.00000130080745391728092809'],
    [8, '6.22096057427178412352e-16'],
    [12.34567, '2.57022573925289809093e-35'],
    [20, '2.75362411860623369508e-89'],
    [37, '5.72557122252457682268e-300'],
    [-1, '0.841344746068542948585'],
    [-3, '0.998650101968369905473'],
  ];
  test.each(exact)('at %f', (x, value) => {
    const bound = 16 + (x > 0 ? 2 * x * x : 0);
    expect(Math.abs(upperTail(x) / Number(value) - 1)).toBeLessThanOrEqual(bound * UNIT);
    expect(logUpperTail(x)).toBeCloseTo(Math.log(Number(value)), 10);
  });

  test('the quantile leaves no more than it says', () => {
    for (const p of [0.3, 1e-3, 1e-10, 1e-26, 1e-60]) expect(upperTail(upperQuantile(p)) / p).toBeLessThanOrEqual(1);
    for (const p of [0.3, 1e-3, 1e-10, 1e-26, 1e-60]) expect(upperTail(upperQuantile(p)) / p).toBeGreaterThan(1 - 1e-6);
  });
});

test('the transform errs less than it says', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 3, max: 9 }),
      fc.infiniteStream(fc.double({ min: -1, max: 1, noNaN: true })),
      (log, stream) => {
        const size = 2 ** log;
        const values = Float64Array.from({ length: size }, () => stream.next().value as number);
        const { re, im } = realFft(values);
        let [error, norm] = [0, 0];
        for (let k = 0; k <= size / 2; k++) {
          let [a, b] = [0, 0];
          for (let j = 0; j < size; j++) {
            const angle = (2 * Math.PI * ((j * k) % size)) / size;
            a += values[j]! * Math.cos(angle);
            b -= values[j]! * Math.sin(angle);
          }
          error += (re[k]! - a) ** 2 + (im[k]! - b) ** 2;
          norm += a * a + b * b;
        }
        // The direct sums err as well, by a few u each.
        expect(Math.sqrt(error)).toBeLessThanOrEqual((fftError(size) + size * UNIT) * Math.sqrt(2 * norm) + 1e-300);
      },
    ),
    { numRuns: 30 },
  );
});

function latticeFor(pair: Parameters<typeof cumulant>[0], spacing: number, tilt: number): Lattice {
  return { spacing, tilt, logMoment: cumulant(pair, tilt).value, band: { tail: 1e-18 }, relevance: 1e-3 };
}

/** delta at epsilon of masses on a lattice, added up as they are. */
function latticeDelta({ indices, masses, infinite }: Discretised, spacing: number, epsilon: number): number {
  let delta = infinite;
  for (let i = 0; i < indices.length; i++) {
    const loss = indices[i]! * spacing;
    if (loss > epsilon) delta -= masses[i]! * Math.expm1(epsilon - loss);
  }
  return delta;
}

/** Largest relative amount by which the lattice falls short of the pair. */
function shortfall(pair: Parameters<typeof cumulant>[0], parts: Discretised, spacing: number): number {
  let worst = 0;
  for (const epsilon of [-2, -0.3, -0.05, -0.011, 0, 0.003, 0.02, 0.1, 0.35, 0.9, 2, 5]) {
    const truth = singleStepDelta({ pair }, epsilon) + pair.infinite;
    if (truth > 1e-250) worst = Math.max(worst, 1 - latticeDelta(parts, spacing, epsilon - parts.lossError) / truth);
  }
  return worst;
}

describe('connect the dots', () => {
  const spacing = fc.constantFrom(0.3, 0.05, 0.004, 1e-3);

  test('dominates the pair at every epsilon, both ways', () => {
    fc.assert(
      fc.property(
        event,
        fc.constantFrom(...RELATIONS),
        spacing,
        fc.constantFrom(0.5, 4, 20),
        (one, relation, h, tilt) => {
          const pairs = dominatingPairs(one, relation)!;
          for (const pair of [pairs.remove, pairs.add]) {
            // The single-step value that it is held against is a difference, right to some 1e-12.
            expect(shortfall(pair, discretise(pair, latticeFor(pair, h, tilt)), h)).toBeLessThan(1e-9);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('the comparison notices masses that go to the middle of their cells', () => {
    const { remove } = dominatingPairs(
      { kind: 'poisson', probability: 0.1, event: { kind: 'gaussian', noiseMultiplier: 1 } },
      'zero-out',
    )!;
    const fine = discretise(remove, latticeFor(remove, 0.05, 4));
    // The conditional mean of every fourth cell: a post-processing, about, which loses spread.
    const merged = { ...fine, indices: fine.indices.map((index) => 4 * Math.floor(index / 4) + 1) };
    expect(shortfall(remove, fine, 0.05)).toBeLessThan(1e-9);
    expect(shortfall(remove, merged, 0.05)).toBeGreaterThan(1e-4);
  });

  test('converges to the pair like the square of the spacing', () => {
    const { remove } = dominatingPairs({ kind: 'gaussian', noiseMultiplier: 1 }, 'zero-out')!;
    const excess = (h: number): number => {
      const parts = discretise(remove, { ...latticeFor(remove, h, 4), relevance: 1e-12, band: { tail: 1e-30 } });
      // Half-way between two places, where the chord is farthest from the curve.
      return latticeDelta(parts, h, 1 + h / 2) / singleStepDelta({ pair: remove }, 1 + h / 2) - 1;
    };
    expect(excess(0.1) / excess(0.05)).toBeGreaterThan(3);
    expect(excess(0.1) / excess(0.05)).toBeLessThan(5);
  });
});

test('the errors that a spectrum declares cover those it has', () => {
  const { remove } = dominatingPairs(
    { kind: 'poisson', probability: 0.01, event: { kind: 'gaussian', noiseMultiplier: 1 } },
    'zero-out',
  )!;
  const lattice = latticeFor(remove, 1e-3, 8);
  const parts = discretise(remove, lattice);
  for (const apart of [0, 16]) {
    const size = 4096;
    const { logAbs, phase, eachError, normError, logMoment } = tiltedSpectrum(parts, lattice, { size, apart });
    const total = Math.exp(logMoment);
    for (const k of [0, 1, 7, 100, 1000, 2048]) {
      // Sorted and added up with a compensation: right to some 1e-16.
      const terms = parts.indices.map((index, i) => {
        const angle = (-2 * Math.PI * ((((index % size) + size) * k) % size)) / size;
        const weight = (parts.masses[i]! * Math.exp(8 * index * 1e-3)) / total;
        return [weight * Math.cos(angle), weight * Math.sin(angle)] as const;
      });
      const [re, im] = [compensatedSum(terms.map(([x]) => x)), compensatedSum(terms.map(([, y]) => y))];
      const abs = Math.exp(logAbs[k]!);
      const gap = Math.hypot(abs * Math.cos(phase[k]!) - re, abs * Math.sin(phase[k]!) - im);
      expect(gap).toBeLessThanOrEqual(eachError + normError + 1e-15);
    }
    expect(eachError + normError).toBeLessThan(1e-11);
  }
});

function compensatedSum(values: readonly number[]): number {
  let [sum, lost] = [0, 0];
  for (const value of values) {
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return sum + lost;
}
