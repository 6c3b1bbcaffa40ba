import { recoverChecked, recoverSecret, splitSecret, toHex } from '@carapace/crypto';
import type { PackedShares, RandomSource, Share } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combineAll, multiplyReference } from '../src/sharing/field.ts';

/** GF(2^8) as FIPS 197, section 4.2 writes it: multiply as polynomials, then reduce modulo x^8 + x^4 + x^3 + x + 1. */
function slowMultiply(a: number, b: number): number {
  let product = 0;
  for (let i = 0; i < 8; i++) if ((b >> i) & 1) product ^= a << i;
  for (let i = 14; i >= 8; i--) if ((product >> i) & 1) product ^= 0x11b << (i - 8);
  return product;
}

function slowEvaluate(coefficients: readonly number[], x: number): number {
  return coefficients.reduceRight((value, coefficient) => slowMultiply(value, x) ^ coefficient, 0);
}

const dealing = fc
  .record({
    seed: fc.nat(),
    secretBytes: fc.integer({ min: 1, max: 37 }),
    xs: fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 40 }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ seed, secretBytes, xs, part }) => {
    const random = seededRandom(seed);
    const threshold = 1 + Math.floor(part * (xs.length - 1));
    const secret = random.bytes(secretBytes);
    const values = splitSecret(secret, threshold, xs, random);
    return { random, secret, threshold, shares: xs.map((x, i): Share => ({ x, value: values[i]! })) };
  });

test('FIPS 197, section 4.2: {57} times {83} and times {13}, by a polynomial of degree one', () => {
  const coefficient = (byte: number): RandomSource => ({ bytes: (length) => new Uint8Array(length).fill(byte) });
  expect(splitSecret(Uint8Array.of(0), 2, [0x83, 0x13], coefficient(0x57)).map(toHex)).toEqual(['c1', 'fe']);
});

test('shares are the values of the polynomial that the randomness names', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 2, maxLength: 9 }), fc.integer({ min: 1, max: 255 }), (coefficients, x) => {
      const [secret, ...rest] = coefficients;
      const random: RandomSource = { bytes: () => Uint8Array.of(rest.shift()!) };
      const xs = Array.from({ length: coefficients.length }, (_, i) => ((x + i - 1) % 255) + 1);
      const shares = splitSecret(Uint8Array.of(secret!), coefficients.length, xs, random);
      expect(shares.map((share) => share[0])).toEqual(xs.map((at) => slowEvaluate([...coefficients], at)));
    }),
  );
});

test('any `threshold` shares, in any order, give the secret, and so do all', () => {
  fc.assert(
    fc.property(dealing, fc.nat(), ({ secret, threshold, shares }, turn) => {
      const turned = shares.map((_, i) => shares[(i + turn) % shares.length]!);
      expect(recoverSecret(turned.slice(0, threshold))).toEqual(secret);
      expect(recoverSecret(turned)).toEqual(secret);
    }),
  );
});

test('one share fewer fits every secret equally well', () => {
  // With threshold 3 and two shares known, each of the 256 secrets is reached by exactly one third share.
  const [a, b] = splitSecret(Uint8Array.of(42), 3, [1, 2, 3], seededRandom('secrecy'));
  const secrets = Array.from({ length: 256 }, (_, value) =>
    toHex(
      recoverSecret([
        { x: 1, value: a! },
        { x: 2, value: b! },
        { x: 3, value: Uint8Array.of(value) },
      ]),
    ),
  );
  expect(new Set(secrets).size).toBe(256);
});

test('a share is uniform, whatever the secret', () => {
  const random = seededRandom('uniform');
  for (const secret of [0, 255]) {
    const counts = new Uint32Array(256);
    for (let i = 0; i < 51_200; i++) counts[splitSecret(Uint8Array.of(secret), 2, [7, 9], random)[0]![0]!]!++;
    const chiSquare = counts.reduce((sum, count) => sum + (count - 200) ** 2 / 200, 0);
    // 255 degrees of freedom: mean 255, standard deviation 22.6; six of them.
    expect(chiSquare).toBeLessThan(391);
  }
});

test('the kernel against its twin: every factor times every element, and sums of any number and length', () => {
  for (let factor = 0; factor < 256; factor++) {
    const elements = Uint8Array.from({ length: 256 }, (_, element) => element);
    const [products] = combineAll({ length: 256, bytes: elements }, [Uint8Array.of(factor)]);
    expect(products).toEqual(elements.map((element) => multiplyReference(element, factor)));
    expect(products![199]).toBe(slowMultiply(199, factor));
  }
  const vectors = fc
    .tuple(fc.constantFrom(1, 2, 15, 16, 17, 31, 32, 33, 48, 256), fc.constantFrom(1, 2, 3, 100, 255))
    .filter(([length, count]) => Math.ceil(length / 16) * 16 * count <= 65_536);
  fc.assert(
    fc.property(vectors, fc.integer({ min: 0, max: 3 }), fc.nat(), ([length, count], rows, seed) => {
      const random = seededRandom(seed);
      const bytes = random.bytes(length * count);
      const factors = Array.from({ length: rows }, () => random.bytes(count));
      const slow = factors.map((row) =>
        Uint8Array.from({ length }, (_, at) =>
          row.reduce((sum, factor, i) => sum ^ multiplyReference(bytes[i * length + at]!, factor), 0),
        ),
      );
      expect(combineAll({ length, bytes }, factors)).toEqual(slow);
    }),
    { numRuns: 40 },
  );
  expect(() => combineAll({ length: 256, bytes: new Uint8Array(257 * 256) }, [])).toThrow(RangeError);
});

describe('shares that are checked', () => {
  const packed = (shares: readonly Share[]): PackedShares => ({
    xs: Uint8Array.from(shares, ({ x }) => x),
    values: Uint8Array.from(shares.flatMap(({ value }) => [...value])),
  });
  const cases = fc
    .record({
      seed: fc.nat(),
      threshold: fc.integer({ min: 1, max: 12 }),
      wrong: fc.integer({ min: 1, max: 6 }),
      spare: fc.nat(8),
      full: fc.boolean(),
    })
    .map(({ seed, threshold, wrong, spare, full }) => {
      const random = seededRandom(seed);
      const secret = random.bytes(32);
      // With most of the field's elements among the coordinates the factors are computed from those that are not.
      const count = full ? 255 - spare : threshold + wrong - 1 + spare;
      const order = Array.from({ length: 255 }, (_, i) => i + 1).sort(
        (a, b) => ((a * 7 + seed) % 256) - ((b * 7 + seed) % 256),
      );
      const xs = order.slice(0, count);
      const values = splitSecret(secret, threshold, xs, random);
      return { random, secret, threshold, wrong, shares: xs.map((x, i): Share => ({ x, value: values[i]! })) };
    });

  test('good ones give the secret, and are consistent', () => {
    fc.assert(
      fc.property(cases, ({ secret, threshold, wrong, shares }) => {
        expect(recoverChecked(packed(shares), threshold, wrong)).toEqual({ secret, consistent: true });
      }),
    );
  });

  test('up to `wrong` wrong ones, one byte of each: another secret, or no consistency', () => {
    fc.assert(
      fc.property(
        cases,
        fc.integer({ min: 1, max: 6 }),
        fc.nat(31),
        ({ random, secret, threshold, wrong, shares }, errors, byte) => {
          const bad = Math.min(errors, wrong);
          const changed = shares.map(({ x, value }, i) => {
            const error = 1 + (random.bytes(1)[0]! % 255);
            return { x, value: i < bad ? value.with(byte, value[byte]! ^ error) : value };
          });
          const found = recoverChecked(packed(changed), threshold, wrong);
          expect(found.consistent && toHex(found.secret) === toHex(secret)).toBe(false);
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each<[string, PackedShares, number, number]>([
    ['too few for what may be wrong', { xs: Uint8Array.of(1, 2, 3), values: new Uint8Array(96) }, 2, 3],
    ['none of them wrong at all', { xs: Uint8Array.of(1, 2, 3), values: new Uint8Array(96) }, 2, 0],
    ['an x twice', { xs: Uint8Array.of(1, 2, 2), values: new Uint8Array(96) }, 2, 1],
    ['x = 0', { xs: Uint8Array.of(1, 2, 0), values: new Uint8Array(96) }, 2, 1],
    ['shares of another length', { xs: Uint8Array.of(1, 2, 3), values: new Uint8Array(95) }, 2, 1],
  ])('%s: SHARING_RANGE', (_, shares, threshold, wrong) => {
    expect(() => recoverChecked(shares, threshold, wrong)).toThrow('SHARING_RANGE');
  });
});

describe('refused with SHARING_RANGE', () => {
  const random = seededRandom('refused');
  const value = Uint8Array.of(1);
  test.each<[string, () => unknown]>([
    ['a threshold of zero', () => splitSecret(value, 0, [1, 2], random)],
    ['a threshold above the number of shares', () => splitSecret(value, 3, [1, 2], random)],
    ['a fractional threshold', () => splitSecret(value, 1.5, [1, 2], random)],
    ['x = 0, where the secret is', () => splitSecret(value, 1, [0, 1], random)],
    ['x = 256', () => splitSecret(value, 1, [256], random)],
    ['an x twice', () => splitSecret(value, 1, [3, 3], random)],
    ['no shares', () => recoverSecret([])],
    [
      'duplicate shares',
      () =>
        recoverSecret([
          { x: 1, value },
          { x: 1, value },
        ]),
    ],
    [
      'shares of two lengths',
      () =>
        recoverSecret([
          { x: 1, value },
          { x: 2, value: new Uint8Array(2) },
        ]),
    ],
  ])('%s', (_, act) => {
    expect(act).toThrow('SHARING_RANGE');
  });
});
