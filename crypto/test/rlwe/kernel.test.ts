import { CRYPTO_ERRORS } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { discreteGaussian } from '../../src/rlwe/gaussian.ts';
import { instantiateKernel, montgomeryPair, ratioPair } from '../../src/rlwe/kernel.ts';
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
  exports.powers(INVERSE, Math.log2(n), root, BigInt(q));
  exports.quarterTwiddles(TABLE, INVERSE, n);
  exports.powers(INVERSE, Math.log2(n), invert(root, BigInt(q)), BigInt(q));
};

/** What a key is multiplied by in `pairs`. */
const liftOf = (n: number, q: number): readonly [number, number] =>
  montgomeryPair((invert(BigInt(n), BigInt(q)) << 32n) % BigInt(q), q);

const prime = fc.constantFrom(...PRIMES);
/** Values below a limit, its edges more often than chance. */
const below = (limit: number) =>
  fc.oneof(fc.integer({ min: 0, max: limit - 1 }), fc.constantFrom(0, 1, limit - 2, limit - 1));
/** A polynomial with signed coefficients smaller than q in size. */
const signed = (n: number, q: number) =>
  fc.array(fc.oneof(fc.integer({ min: 1 - q, max: q - 1 }), fc.constantFrom(0, 1, -1, q - 1, 1 - q)), {
    minLength: n,
    maxLength: n,
  });
/** Value i of quarter c is lane c of vector i. */
const valuesAt = (at: number, n: number): bigint[] => [0, 1, 2, 3].flatMap((c) => lane(at, n / 4, c));
const vectors = (n: number, limit: number) => fc.array(below(limit), { minLength: 4 * n, maxLength: 4 * n });

describe('transforms', () => {
  test('of a key: signed coefficients, residues below 4q, and they are the values at the roots of -1', () => {
    const cases = fc
      .tuple(prime, fc.constantFrom(16, 32, 64, 128))
      .chain(([q, n]) => fc.tuple(fc.constant(q), fc.constant(n), signed(n, q)));
    fc.assert(
      fc.property(cases, ([q, n, coefficients]) => {
        tables(n, q);
        new Int32Array(memory, Y, n).set(coefficients);
        exports.transformKey(X, Y, TABLE, n, q);
        const found = valuesAt(X, n);
        expect(found.every((value) => value < 4n * BigInt(q))).toBe(true);
        const input = coefficients.map((value) => mod(BigInt(value), q));
        expect(found.map((value) => mod(value, q))).toEqual(referenceTransform(input, BigInt(q)));
      }),
      { numRuns: 60 },
    );
  });

  test('multiplied by a key and back: the negacyclic product, as many coefficients as are asked for, below 2q', () => {
    const cases = fc
      .tuple(prime, fc.constantFrom(16, 32))
      .chain(([q, n]) =>
        fc.tuple(fc.constant(q), fc.constant(n), vectors(n, q), signed(n, q), fc.integer({ min: 1, max: n })),
      );
    fc.assert(
      fc.property(cases, ([q, n, a, small, rows]) => {
        const KEY = SMALL + 64;
        const SPREAD = KEY + 1024;
        tables(n, q);
        new Int32Array(memory, SPREAD, n).set(small);
        exports.transformKey(Y, SPREAD, TABLE, n, q);
        exports.pairs(KEY, Y, n, ...liftOf(n, q), q, inverseModulo2To32(q));
        words(X, 4 * n).set(a);
        exports.multiplyInverse(X, KEY, INVERSE, n, rows, q);
        const keyValues = referenceTransform(
          small.map((value) => mod(BigInt(value), q)),
          BigInt(q),
        );
        for (let k = 0; k < 4; k++) {
          const values = keyValues.map((value, i) => mod(value * BigInt(a[4 * i + k]!), q));
          const found = lane(X, n, k).slice(0, rows);
          expect(found.every((value) => value < 2n * BigInt(q))).toBe(true);
          expect(found.map((value) => mod(value, q))).toEqual(referenceInverse(values, BigInt(q)).slice(0, rows));
        }
      }),
      { numRuns: 40 },
    );
  });

  test('of the size that is used, through the first-level cache and beside it: what goes forward comes back', () => {
    const n = 8192;
    const large = instantiateKernel(1 << 20);
    const at = (address: number, length: number): Uint32Array => new Uint32Array(large.memory, address, length);
    const [table, inverses, key, small, x] = [1024, 2048 + 8 * n, 2048 + 16 * n, 2048 + 24 * n, 2048 + 28 * n];
    const one = new Int32Array(n).fill(1, 0, 1);
    for (const q of PRIMES) {
      const root = rootOfMinusOne(n, BigInt(q));
      large.exports.powers(inverses, 13, root, BigInt(q));
      large.exports.quarterTwiddles(table, inverses, n);
      large.exports.powers(inverses, 13, invert(root, BigInt(q)), BigInt(q));
      at(small, n).set(one);
      large.exports.transformKey(x, small, table, n, q);
      large.exports.pairs(key, x, n, ...liftOf(n, q), q, inverseModulo2To32(q));
      const given = Int32Array.from(new Int32Array(seededRandom(q).bytes(4 * n).buffer), (word) => word % q);
      at(small, n).set(given);
      large.exports.transformKey(x, small, table, n, q);
      const values = Array.from({ length: n }, (_, i) => at(x, n)[4 * (i % (n / 4)) + Math.floor((4 * i) / n)]! % q);
      // In each lane another multiple of the polynomial.
      const lanes = values.flatMap((value) => [1, 2, 3, 4].map((times) => (value * times) % q));
      for (const rows of [n, 4097, 4096, 1025, 1024, 17, 16]) {
        at(x, 4 * n).set(lanes);
        large.exports.multiplyInverse(x, key, inverses, n, rows, q);
        const isRight = (value: number, i: number): boolean =>
          value < 2 * q && (value - given[i >> 2]! * ((i & 3) + 1)) % q === 0;
        expect(at(x, 4 * rows).every(isRight)).toBe(true);
      }
    }
  });

  test('a difference from a sum, whose blocks of different primes stand side by side', () => {
    const cases = fc
      .tuple(prime, fc.integer({ min: 1, max: 3 }))
      .chain(([q, primes]) => fc.tuple(fc.constant(q), fc.constant(primes), vectors(32, 2 * q), vectors(32, q)));
    fc.assert(
      fc.property(cases, ([q, primes, x, sum]) => {
        words(X, 128).set(x);
        sum.forEach((value, i) => (words(Y, 512)[Math.floor(i / 64) * primes * 64 + (i % 64)] = value));
        exports.subtractFrom(X, Y, 2, 256 * primes, q);
        expect(Array.from(words(X, 128), BigInt)).toEqual(sum.map((value, i) => mod(BigInt(value - x[i]!), q)));
      }),
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
  test('encrypt adds the number written in lanes, with the error above them, and packs it, block by block, prime by prime', () => {
    const cases = fc
      .tuple(
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 2 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(),
      )
      .map(([k, bits, blocks, part, seed]) => {
        const most = Math.floor((30 * k - 8) / bits);
        return { k, bits, blocks, rows: Math.min(24, 1 + Math.floor(part * (most - 1))), fits: most >= 1, seed };
      })
      .filter(({ fits }) => fits);
    fc.assert(
      fc.property(cases, ({ k, bits, blocks, rows, seed }) => {
        const { exports: large, memory: room } = instantiateKernel(1 << 18);
        const at = (address: number, length: number): Uint32Array => new Uint32Array(room, address, length);
        const [moduli, shifts, digits, x, errors, lanes, to] = [1024, 2048, 4096, 8192, 65536, 70000 & ~15, 196608];
        const random = new Uint32Array(seededRandom(seed).bytes(4 * 32768).buffer);
        const primes = PRIMES.slice(0, k);
        // Edges of the ranges more often than chance.
        const draw = (i: number, limit: number): number => (random[i]! % 3 === 0 ? limit - 1 : random[i]! % limit);
        const residues = primes.map((q, j) => Array.from({ length: 64 * blocks }, (_, i) => draw(512 * j + i, 2 * q)));
        const entries = Array.from({ length: 64 * blocks * rows }, (_, i) => draw(4096 + i, 2 ** bits));
        const raised = Array.from({ length: 64 * blocks }, (_, i) => draw(16384 + i, 117));
        primes.forEach((q, j) => at(moduli + 8 * j, 2).set([q, inverseModulo2To32(q)]));
        const powers = primes.flatMap((q) =>
          Array.from({ length: k - 1 }, (_, t) => montgomeryPair(power(2n, BigInt(30 * (t + 1)), BigInt(q)), q)[0]),
        );
        at(shifts, powers.length).set(powers);
        residues.forEach((of, j) => at(x + 16 * 32 * j, of.length).set(of));
        at(errors, raised.length).set(raised);
        at(lanes, entries.length).set(entries);
        large.encrypt(to, x, lanes, errors, 32, blocks, rows, bits, k, moduli, shifts, digits);
        const value = (i: number, p: number): bigint => {
          const above = BigInt(raised[4 * i + p]!) << BigInt(bits * rows);
          return Array.from(
            { length: rows },
            (_, r) => BigInt(entries[4 * (i * rows + r) + p]!) << BigInt(bits * r),
          ).reduce((sum, term) => sum + term, above);
        };
        for (let block = 0; block < blocks; block++) {
          primes.forEach((q, j) => {
            const packed = at(to + 240 * (block * k + j), 60);
            for (let p = 0; p < 4; p++) {
              const number = Array.from({ length: 15 }, (_, w) => BigInt(packed[4 * w + p]!)).reduceRight(
                (n, w) => (n << 32n) | w,
                0n,
              );
              for (let i = 0; i < 16; i++) {
                const found = BigInt.asUintN(30, number >> BigInt(30 * i));
                const row = 16 * block + i;
                expect(found).toBe(mod(BigInt(residues[j]![4 * row + p]!) + value(row, p), q));
              }
            }
          });
        }
      }),
      { numRuns: 40 },
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
        const fits =
          exports.decode(X, 4, 4, k, SMALL, SMALL + 64, SMALL + 512, SMALL + 2048, rows, bits, maxTop, Y) !== 0;
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
    expect(exports.decode(X, 4, 4, 2, SMALL, SMALL + 64, SMALL + 512, SMALL + 2048, 1, 24, 1000, Y)).toBe(1 - excess);
  });
});

describe('vectors', () => {
  const putModuli = (primes: readonly number[]): void =>
    words(SMALL, 2 * primes.length).set(primes.flatMap((q) => [q, inverseModulo2To32(q)]));
  /** Blocks modulo one prime after the other. */
  const blocksOf = (primes: readonly number[], count: number) =>
    fc
      .tuple(...Array.from({ length: count }, () => primes.map((q) => vectors(16, q))).flat())
      .map((list) => list.flat());
  const sizes = fc.tuple(
    fc.shuffledSubarray([...PRIMES], { minLength: 1, maxLength: 3 }),
    fc.integer({ min: 1, max: 3 }),
  );

  test('pack writes 30 bits a residue, and accumulate reads them back, block by block, prime by prime', () => {
    const cases = sizes.chain(([primes, count]) =>
      fc.tuple(fc.constant(primes), fc.constant(count), blocksOf(primes, count)),
    );
    fc.assert(
      fc.property(cases, ([primes, count, x]) => {
        const blocks = count * primes.length;
        words(X, 64 * blocks).set(x);
        exports.pack(Y, X, blocks);
        for (let block = 0; block < blocks; block++) {
          for (let k = 0; k < 4; k++) {
            const residues = Array.from({ length: 16 }, (_, i) => BigInt(x[64 * block + 4 * i + k]!));
            const packed = Array.from({ length: 15 }, (_, i) => BigInt(words(Y + 240 * block, 60)[4 * i + k]!));
            const number = residues.reduceRight((bits, residue) => (bits << 30n) | residue, 0n);
            expect(packed.reduceRight((bits, word) => (bits << 32n) | word, 0n)).toBe(number);
          }
        }
        putModuli(primes);
        words(X, 64 * blocks).fill(0);
        expect(exports.check(Y, count, SMALL, primes.length)).toBe(1);
        expect(exports.accumulate(X, Y, count, SMALL, primes.length)).toBe(1);
        expect(Array.from(words(X, 64 * blocks))).toEqual(x);
      }),
    );
  });

  test('check and accumulate object to a residue that is not below its prime, wherever it stands', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.oneof(fc.constant(0), fc.nat(1000)), ([primes, count], place, excess) => {
        const blocks = count * primes.length;
        const at = place % (64 * blocks);
        const primeOf = (i: number): number => primes[Math.floor(i / 64) % primes.length]!;
        putModuli(primes);
        for (let i = 0; i < 64 * blocks; i++) words(X, 64 * blocks)[i] = primeOf(i) - 1;
        words(X, 64 * blocks)[at] = primeOf(at) + excess;
        exports.pack(Y, X, blocks);
        expect(exports.check(Y, count, SMALL, primes.length)).toBe(0);
        words(X, 64 * blocks).fill(5);
        expect(exports.accumulate(X, Y, count, SMALL, primes.length)).toBe(0);
        exports.retract(X, Y, count, SMALL, primes.length);
        expect(Array.from(words(X, 64 * blocks))).toEqual(new Array(64 * blocks).fill(5));
      }),
    );
  });

  test('accumulate is addition modulo each prime, retract its inverse', () => {
    const cases = sizes.chain(([primes, count]) =>
      fc.tuple(fc.constant(primes), fc.constant(count), blocksOf(primes, count), blocksOf(primes, count)),
    );
    fc.assert(
      fc.property(cases, ([primes, count, a, b]) => {
        const blocks = count * primes.length;
        putModuli(primes);
        words(X, 64 * blocks).set(b);
        exports.pack(Y, X, blocks);
        words(X, 64 * blocks).set(a);
        exports.accumulate(X, Y, count, SMALL, primes.length);
        const primeOf = (i: number): number => primes[Math.floor(i / 64) % primes.length]!;
        expect(Array.from(words(X, 64 * blocks))).toEqual(a.map((value, i) => (value + b[i]!) % primeOf(i)));
        exports.retract(X, Y, count, SMALL, primes.length);
        expect(Array.from(words(X, 64 * blocks))).toEqual(a);
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
  primes.forEach((q, j) => (words(SMALL, 16)[2 * j] = q));
  const inverses = primes.flatMap((q, j) =>
    primes.slice(0, j).flatMap((l) => ratioPair(invert(BigInt(l), BigInt(q)), q)),
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
