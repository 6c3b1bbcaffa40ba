import { CRYPTO_ERRORS } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { discreteGaussian } from '../../src/rlwe/gaussian.ts';
import { instantiateKernel, montgomeryPair } from '../../src/rlwe/kernel.ts';
import { inverseModulo2To32, invert, power, rootOfMinusOne } from '../../src/rlwe/modular.ts';
import {
  referenceInverse,
  referenceLift,
  referenceProduct,
  referenceSamples,
  referenceTransform,
} from '../../src/rlwe/reference.ts';
import { RLWE_RINGS } from '../../src/rlwe/ring.ts';

// Every export of the kernel against its BigInt twin, at sizes that exercise each loop, with values up to the edges of their ranges.

const { exports, memory } = instantiateKernel(65536);
const PRIMES = RLWE_RINGS['rlwe-8192-210'].primes;
const X = 1024;
const Y = X + 16 * 64 * 8;
const TABLE = Y + 16 * 64 * 8;
const INVERSE = TABLE + 2048;
const SMALL = INVERSE + 2048;

const words = (at: number, length: number): Uint32Array => new Uint32Array(memory, at, length);
const lane = (at: number, n: number, k: number): bigint[] =>
  Array.from({ length: n }, (_, i) => BigInt(words(at, 4 * n)[4 * i + k]!));
const mod = (value: bigint, q: number): bigint => ((value % BigInt(q)) + BigInt(q)) % BigInt(q);
const tables = (n: number, q: number): void => {
  const root = rootOfMinusOne(n, BigInt(q));
  exports.powers(TABLE, Math.log2(n), root, BigInt(q), inverseModulo2To32(q));
  exports.powers(INVERSE, Math.log2(n), invert(root, BigInt(q)), BigInt(q), inverseModulo2To32(q));
  words(SMALL, 2).set(montgomeryPair(invert(BigInt(n), BigInt(q)), q));
};

const prime = fc.constantFrom(...PRIMES);
const size = fc.constantFrom(4, 8, 16, 32, 64);
/** Values below a limit, its edges more often than chance. */
const below = (limit: number) =>
  fc.oneof(fc.integer({ min: 0, max: limit - 1 }), fc.constantFrom(0, 1, limit - 2, limit - 1));
const vectors = (n: number, limit: number) => fc.array(below(limit), { minLength: 4 * n, maxLength: 4 * n });

describe('transforms', () => {
  test('forward takes residues below 4q, leaves residues below 4q, and is the evaluation at the roots of -1', () => {
    const cases = fc.tuple(prime, size).chain(([q, n]) => fc.tuple(fc.constant(q), fc.constant(n), vectors(n, 4 * q)));
    fc.assert(
      fc.property(cases, ([q, n, x]) => {
        tables(n, q);
        words(X, 4 * n).set(x);
        exports.forward(X, TABLE, n, q);
        for (let k = 0; k < 4; k++) {
          const input = Array.from({ length: n }, (_, i) => BigInt(x[4 * i + k]!));
          expect(lane(X, n, k).every((value) => value < 4n * BigInt(q))).toBe(true);
          expect(lane(X, n, k).map((value) => mod(value, q))).toEqual(referenceTransform(input, BigInt(q)));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('inverse takes residues below 2q, leaves residues below q, and is the interpolation', () => {
    const cases = fc
      .tuple(prime, fc.constantFrom(4, 8, 16))
      .chain(([q, n]) => fc.tuple(fc.constant(q), fc.constant(n), vectors(n, 2 * q)));
    fc.assert(
      fc.property(cases, ([q, n, x]) => {
        tables(n, q);
        words(X, 4 * n).set(x);
        exports.inverse(X, INVERSE, n, q, SMALL);
        for (let k = 0; k < 4; k++) {
          const input = Array.from({ length: n }, (_, i) => mod(BigInt(x[4 * i + k]!), q));
          expect(lane(X, n, k)).toEqual(referenceInverse(input, BigInt(q)));
        }
      }),
      { numRuns: 40 },
    );
  });

  test('a product of transforms is the transform of the negacyclic product', () => {
    const cases = fc
      .tuple(prime, size)
      .chain(([q, n]) =>
        fc.tuple(
          fc.constant(q),
          fc.constant(n),
          vectors(n, q),
          fc.array(fc.integer({ min: -(2 ** 29), max: 2 ** 29 }), { minLength: n, maxLength: n }),
          vectors(n, 4 * q),
        ),
      );
    fc.assert(
      fc.property(cases, ([q, n, a, small, c]) => {
        const qi = inverseModulo2To32(q);
        const square = montgomeryPair(1n << 32n, q);
        const KEY = SMALL + 64;
        const SPREAD = KEY + 1024;
        tables(n, q);
        new Int32Array(memory, SPREAD, n).set(small);
        exports.spread(Y, SPREAD, n, q);
        exports.forward(Y, TABLE, n, q);
        exports.pairs(KEY, Y, n, square[0], square[1], q, qi);
        words(Y, 4 * n).set(a);
        exports.forward(Y, TABLE, n, q);
        for (let i = 0; i < 4 * n; i++) words(Y, 4 * n)[i]! %= q;
        words(X, 4 * n).set(c);
        exports.multiplyAdd(X, Y, KEY, n, q);
        const keyValues = referenceTransform(
          small.map((value) => mod(BigInt(value), q)),
          BigInt(q),
        );
        for (let k = 0; k < 4; k++) {
          const values = referenceTransform(
            Array.from({ length: n }, (_, i) => BigInt(a[4 * i + k]!)),
            BigInt(q),
          );
          const expected = values.map((value, i) => mod(value * keyValues[i]! + BigInt(c[4 * i + k]!), q));
          expect(lane(X, n, k)).toEqual(expected);
        }
        words(X, 4 * n).fill(0);
        exports.multiplySubtract(X, Y, KEY, n, q);
        exports.inverse(X, INVERSE, n, q, SMALL);
        const first = Array.from({ length: n }, (_, i) => BigInt(a[4 * i]!));
        const product = referenceProduct(first, small.map(BigInt), BigInt(q));
        expect(lane(X, n, 0)).toEqual(product.map((value) => mod(-value, q)));
      }),
      { numRuns: 60 },
    );
  });

  test('known answer: X^(n-1) times X is -1', () => {
    const n = 8;
    const q = PRIMES[0]!;
    const unit = (at: number): bigint[] => Array.from({ length: n }, (_, i) => (i === at ? 1n : 0n));
    expect(referenceProduct(unit(n - 1), unit(1), BigInt(q))).toEqual([
      BigInt(q - 1),
      ...unit(0)
        .slice(1)
        .map(() => 0n),
    ]);
  });
});

describe('encoding and decoding', () => {
  test('encode is the number written in lanes, with the error above them', () => {
    const cases = fc
      .tuple(prime, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 28 }))
      .chain(([q, rows, bits]) =>
        fc.tuple(
          fc.constant({ q, rows, bits }),
          vectors(4 * rows, 2 ** bits),
          fc.array(fc.integer({ min: 0, max: 118 }), { minLength: 16, maxLength: 16 }),
        ),
      );
    fc.assert(
      fc.property(cases, ([{ q, rows, bits }, lanes, errors]) => {
        const shifts = Array.from({ length: rows + 1 }, (_, r) => power(2n, BigInt(bits * r), BigInt(q)));
        words(TABLE, rows + 1).set(shifts.map((shift) => montgomeryPair(shift, q)[0]));
        words(Y, 16 * rows).set(lanes);
        words(SMALL, 16).set(errors);
        exports.encode(X, Y, SMALL, 4, rows, TABLE, q, inverseModulo2To32(q));
        const found = Array.from(words(X, 16));
        expect(found.every((value) => value < 2 * q)).toBe(true);
        const expected = errors.map((error, at) => {
          let value = BigInt(error) << BigInt(bits * rows);
          for (let r = 0; r < rows; r++) {
            value += BigInt(lanes[(Math.floor(at / 4) * rows + r) * 4 + (at % 4)]!) << BigInt(bits * r);
          }
          return mod(value, q);
        });
        expect(found.map((value) => BigInt(value % q))).toEqual(expected);
      }),
    );
  });

  test('decode is the Chinese remainder theorem, and says when something lies above the limit', () => {
    const cases = fc
      .tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 10, max: 28 }), fc.integer({ min: 0, max: 2 ** 29 }))
      .chain(([k, bits, maxTop]) =>
        fc.tuple(
          fc.constant({ k, bits, maxTop }),
          fc.array(fc.tuple(...PRIMES.slice(0, k).map((q) => below(q))), { minLength: 16, maxLength: 16 }),
        ),
      );
    fc.assert(
      fc.property(cases, ([{ k, bits, maxTop }, residues]) => {
        const primes = PRIMES.slice(0, k);
        const rows = Math.max(1, Math.floor((30 * k - 30) / bits));
        putDecodeTables(primes, rows, bits);
        residues.forEach((of, at) => of.forEach((residue, j) => (words(X, 16 * k)[16 * j + at] = residue)));
        const fits = exports.decode(X, 4, k, SMALL, SMALL + 64, SMALL + 512, SMALL + 2048, rows, bits, maxTop, Y) !== 0;
        const values = residues.map((of) => referenceLift({ primes }, of));
        expect(fits).toBe(values.every((value) => value >> BigInt(rows * bits) <= BigInt(maxTop)));
        values.forEach((value, at) => {
          for (let r = 0; r < rows; r++) {
            const found = words(Y, 16 * rows)[(Math.floor(at / 4) * rows + r) * 4 + (at % 4)];
            expect(BigInt(found!)).toBe(BigInt.asUintN(bits, value >> BigInt(bits * r)));
          }
        });
      }),
    );
  });

  test.each([0, 1])('decode: a value exactly %i above the limit', (excess) => {
    const primes = PRIMES.slice(0, 2);
    const value = (BigInt(1000 + excess) << 24n) + 0xffffffn;
    putDecodeTables(primes, 1, 24);
    words(X, 32).fill(0);
    primes.forEach((q, j) => (words(X, 32)[16 * j + 7] = Number(mod(value, q))));
    expect(exports.decode(X, 4, 2, SMALL, SMALL + 64, SMALL + 512, SMALL + 2048, 1, 24, 1000, Y)).toBe(1 - excess);
  });
});

describe('vectors', () => {
  test('pack writes 30 bits a residue, and accumulate reads them back', () => {
    const cases = fc
      .tuple(prime, fc.constantFrom(16, 32))
      .chain(([q, n]) => fc.tuple(fc.constant(q), fc.constant(n), vectors(n, q)));
    fc.assert(
      fc.property(cases, ([q, n, x]) => {
        words(X, 4 * n).set(x);
        exports.pack(Y, X, n, 4);
        for (let k = 0; k < 4; k++) {
          const block = lane(X, n, k).reduceRight((bits, residue) => (bits << 30n) | residue, 0n);
          const packed = Array.from({ length: (15 * n) / 16 }, (_, i) => BigInt(words(Y, 4 * n)[4 * i + k]!));
          expect(packed.reduceRight((bits, word) => (bits << 32n) | word, 0n)).toBe(block);
        }
        words(X, 4 * n).fill(0);
        expect(exports.check(Y, n, q, 4)).toBe(1);
        expect(exports.accumulate(X, Y, n, q, 4)).toBe(1);
        expect(Array.from(words(X, 4 * n))).toEqual(x);
      }),
    );
  });

  test('check and accumulate object to a residue that is not below q, wherever it stands', () => {
    fc.assert(
      fc.property(prime, fc.nat(63), fc.oneof(fc.constant(0), fc.nat(1000)), (q, at, excess) => {
        words(X, 64).fill(q - 1);
        words(X, 64)[at] = q + excess;
        exports.pack(Y, X, 16, 4);
        expect(exports.check(Y, 16, q, 4)).toBe(0);
        words(X, 64).fill(5);
        expect(exports.accumulate(X, Y, 16, q, 4)).toBe(0);
        exports.retract(X, Y, 16, q, 4);
        expect(Array.from(words(X, 64))).toEqual(new Array(64).fill(5));
      }),
    );
  });

  test('accumulate is addition modulo q, retract its inverse, and a narrow group has the words of its polynomials alone', () => {
    const cases = fc
      .tuple(prime, fc.integer({ min: 1, max: 4 }))
      .chain(([q, width]) => fc.tuple(fc.constant(q), fc.constant(width), vectors(16, q), vectors(16, q)));
    fc.assert(
      fc.property(cases, ([q, width, a, b]) => {
        const narrow = b.map((value, i) => (i % 4 < width ? value : 0));
        words(X, 64).set(narrow);
        words(Y, 64).fill(99);
        exports.pack(Y, X, 16, width);
        expect(words(Y, 64)[15 * width]).toBe(99);
        words(X, 64).set(a);
        exports.accumulate(X, Y, 16, q, width);
        expect(Array.from(words(X, 64))).toEqual(a.map((value, i) => (value + narrow[i]!) % q));
        exports.retract(X, Y, 16, q, width);
        expect(Array.from(words(X, 64))).toEqual(a);
      }),
    );
  });

  test('within objects to one entry above the limit, wherever it stands', () => {
    fc.assert(
      fc.property(
        fc.nat(31),
        fc.integer({ min: 0, max: 2 ** 31 }),
        fc.integer({ min: 1, max: 2 ** 31 - 1 }),
        (at, max, excess) => {
          words(X, 32).fill(max);
          expect(exports.within(X, 8, max)).toBe(1);
          words(X, 32)[at] = max + excess;
          expect(exports.within(X, 8, max)).toBe(0);
        },
      ),
    );
  });

  test('accept takes the words whose low 30 bits are below q, in order, and stops when it has enough', () => {
    const word = (q: number) =>
      fc
        .tuple(fc.integer({ min: 0, max: 3 }), fc.oneof(below(q), fc.integer({ min: q, max: 2 ** 30 - 1 })))
        .map(([top, low]) => ((top << 30) | low) >>> 0);
    const cases = prime.chain((q) => fc.tuple(fc.constant(q), fc.array(word(q), { maxLength: 60 }), fc.nat(40)));
    fc.assert(
      fc.property(cases, ([q, stream, wanted]) => {
        words(X, 128).fill(0xffff_ffff);
        words(Y, 60).set(stream);
        const taken = exports.accept(X, wanted, Y, stream.length, q);
        const expected = stream
          .map((value) => value & 0x3fff_ffff)
          .filter((value) => value < q)
          .slice(0, wanted);
        expect(taken).toBe(expected.length);
        expect(Array.from(words(X, taken))).toEqual(expected);
        expect(words(X, 128)[taken]).toBe(0xffff_ffff);
      }),
      { numRuns: 300 },
    );
  });
});

describe('gaussian', () => {
  test('is the definition, also at and beside every threshold, with either sign', () => {
    for (const gaussian of [discreteGaussian(40.5), discreteGaussian(81)]) {
      const edges = [...gaussian.thresholds].flatMap((threshold) => [threshold - 1n, threshold, threshold + 1n]);
      const low = [...edges, 0n, 1n, (1n << 63n) - 1n];
      const all = [...low, ...low.map((word) => word | (1n << 63n))];
      while (all.length % 8 !== 0) all.push(0n);
      const random = new BigUint64Array(memory, X, all.length);
      random.set(all);
      new BigUint64Array(memory, SMALL, gaussian.bound).set(gaussian.thresholds);
      exports.gaussian(Y, X, all.length, SMALL, gaussian.bound, 100);
      const expected = referenceSamples(gaussian, new Uint8Array(memory.slice(X, X + 8 * all.length)));
      expect(Array.from(words(Y, all.length)).map((value) => value - 100)).toEqual(expected.map((value) => value + 0));
      expect(Math.max(...expected)).toBe(gaussian.bound);
    }
  });

  test('and for random words', () => {
    const gaussian = discreteGaussian(81);
    new BigUint64Array(memory, SMALL, gaussian.bound).set(gaussian.thresholds);
    const random = seededRandom('kernel').bytes(8 * 512);
    new Uint8Array(memory, X, random.length).set(random);
    exports.gaussian(Y, X, 512, SMALL, gaussian.bound, gaussian.bound);
    const found = Array.from(words(Y, 512)).map((value) => value - gaussian.bound);
    expect(found).toEqual(referenceSamples(gaussian, random).map((value) => value + 0));
  });
});

function putDecodeTables(primes: readonly number[], rows: number, bits: number): void {
  words(SMALL, primes.length).set(primes);
  const inverses = primes.flatMap((q, j) =>
    primes.slice(0, j).flatMap((l) => montgomeryPair(invert(BigInt(l), BigInt(q)), q)),
  );
  words(SMALL + 64, inverses.length).set(inverses);
  let radix = 1n;
  const limbs = primes.flatMap((q) => {
    const of = Array.from({ length: rows + 1 }, (_, r) => {
      const shifted = radix >> BigInt(bits * r);
      return Number(r === rows ? shifted : BigInt.asUintN(bits, shifted));
    });
    radix *= BigInt(q);
    return of;
  });
  words(SMALL + 512, limbs.length).set(limbs);
}

test('the codes of the mask are in the table', () => {
  expect(Object.keys(CRYPTO_ERRORS).filter((code) => code.startsWith('RLWE_'))).toHaveLength(6);
});
