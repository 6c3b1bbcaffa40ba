import { inspect } from 'node:util';
import { CryptoError, RLWE_RINGS, rlweMask, rlweParameters, sha256Hex, systemRandom, utf8 } from '@carapace/crypto';
import type { MaskedSum, RandomSource, RlweMask, RlweParameters, RlweRingName } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { kernelOf } from '../../src/rlwe/kernel.ts';
import { groupsOf } from '../../src/rlwe/layout.ts';
import { publicSeed } from '../../src/rlwe/mask.ts';
import { parametersIn } from '../../src/rlwe/parameters.ts';
import {
  referenceDecode,
  referenceInverse,
  referenceLift,
  referenceMask,
  referencePublic,
  referenceTransform,
} from '../../src/rlwe/reference.ts';
import type { Ring } from '../../src/rlwe/ring.ts';

const { primes, secret, error } = RLWE_RINGS['rlwe-8192-210'];
const context = utf8('task 7, round 3, attempt 1');

/** Rings that are far too small to be secure, and small enough for the twin. */
const SMALL: readonly Ring[] = [
  { name: 'small-16-30', dimension: 16, primes: primes.slice(6), secret, error },
  { name: 'small-16-90', dimension: 16, primes: primes.slice(0, 3), secret, error },
  { name: 'small-32-60', dimension: 32, primes: primes.slice(2, 4), secret, error },
  { name: 'small-16-210', dimension: 16, primes, secret, error },
];

type Drawn = typeof cases extends fc.Arbitrary<infer T> ? T : never;

interface Case {
  readonly parameters: RlweParameters;
  readonly vectors: readonly [Uint32Array, ...Uint32Array[]];
  readonly seed: number;
}

/** Any small ring, any number of clients up to the limit, vectors that end anywhere. */
const cases = fc.record({
  ring: fc.nat(SMALL.length - 1),
  limit: fc.integer({ min: 2, max: 6 }),
  clients: fc.integer({ min: 1, max: 6 }),
  maxValue: fc.constantFrom(1, 7, 255, 4095),
  length: fc.integer({ min: 1, max: 900 }),
  seed: fc.nat(),
});

/** Every fourth entry or so is the largest. */
function caseOf({ ring, limit, clients, maxValue, length, seed }: Drawn): Case {
  const random = seededRandom(`vectors ${seed}`);
  const vector = (): Uint32Array =>
    Uint32Array.from(new Uint16Array(random.bytes(2 * length).buffer), (word) =>
      word % 4 === 0 ? maxValue : (word >> 2) % (maxValue + 1),
    );
  const others = Array.from({ length: Math.min(clients, limit) - 1 }, vector);
  return {
    parameters: parametersIn(SMALL[ring]!, { clients: limit, maxValue, length }),
    vectors: [vector(), ...others],
    seed,
  };
}

function total(vectors: readonly (Uint32Array | Int32Array)[]): number[] {
  return Array.from({ length: vectors[0]!.length }, (_, i) => vectors.reduce((sum, vector) => sum + vector[i]!, 0));
}

function maskAll(
  mask: RlweMask,
  vectors: readonly Uint32Array[],
  random: RandomSource,
): { sum: MaskedSum; keySum: Int32Array } {
  const sum = mask.sum();
  const keys = vectors.map((vector) => {
    const { masked, key } = mask.mask(vector, random);
    sum.add(masked);
    return key;
  });
  return { sum, keySum: Int32Array.from(total(keys)) };
}

const code = (body: () => unknown): string => {
  try {
    body();
  } catch (thrown) {
    if (thrown instanceof CryptoError) return thrown.code;
    throw thrown;
  }
  return 'none';
};

describe('laws', () => {
  test('a masked vector is, bit for bit, what the twin makes of the same randomness', () => {
    fc.assert(
      fc.property(cases, (drawn) => {
        const {
          parameters,
          vectors: [vector],
          seed,
        } = caseOf(drawn);
        const { masked, key } = rlweMask(parameters, context).mask(vector, seededRandom(seed));
        const expected = referenceMask(
          parameters,
          publicSeed(parameters, context),
          vector,
          seededRandom(seed).bytes(32),
        );
        expect([...key]).toEqual(expected.key.map((value) => value + 0));
        expect(Buffer.compare(masked, expected.masked)).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  test('the sum of the masked, less A times the sum of the keys, is the sum of the vectors', () => {
    fc.assert(
      fc.property(cases, (drawn) => {
        const { parameters, vectors, seed } = caseOf(drawn);
        const mask = rlweMask(parameters, context);
        const { sum, keySum } = maskAll(mask, vectors, seededRandom(seed));
        expect([...mask.unmask(sum, keySum)]).toEqual(total(vectors));
      }),
      { numRuns: 150 },
    );
  });

  test('partial sums add up to the sum, whatever the order', () => {
    fc.assert(
      fc.property(cases, fc.nat(5), (drawn, cut) => {
        const { parameters, vectors, seed } = caseOf(drawn);
        const at = cut % vectors.length;
        const mask = rlweMask(parameters, context);
        const { sum } = maskAll(mask, vectors, seededRandom(seed));
        const masked = maskedOf(mask, vectors, seed);
        const parts = [masked.slice(at).reverse(), masked.slice(0, at)].filter((part) => part.length > 0);
        const whole = mask.sum();
        for (const part of parts) {
          const partial = mask.sum();
          for (const bytes of part) partial.add(bytes);
          whole.add(partial.bytes(), partial.clients);
        }
        expect(whole.clients).toBe(vectors.length);
        expect(Buffer.compare(whole.bytes(), sum.bytes())).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  test('what unmask does is decryption in Z_Q, by the twin', () => {
    const parameters = parametersIn(SMALL[1]!, { clients: 4, maxValue: 255, length: 200 });
    const mask = rlweMask(parameters, context);
    const seed = publicSeed(parameters, context);
    const vectors = [1, 2, 3].map((client) => Uint32Array.from({ length: 200 }, (_, i) => (i * client) % 256));
    const { sum, keySum } = maskAll(mask, vectors, seededRandom(3));
    const found: number[] = [];
    for (const group of groupsOf(parameters)) {
      const byPrime = parameters.ring.primes.map((prime, j) => {
        const q = BigInt(prime);
        const keyValues = referenceTransform([...keySum].map(BigInt), q);
        const a = referencePublic(seed, group.index, j, prime, 64);
        const masks = [0, 1, 2, 3].map((k) =>
          referenceInverse(
            keyValues.map((value, i) => (BigInt(a[4 * i + k]!) * value) % q),
            q,
          ),
        );
        // The ring has one block of coefficients: of the sum that is the j-th of each group.
        const c = sum.residues(group).subarray(64 * j);
        return masks.map((of, k) => of.map((value, i) => (BigInt(c[4 * i + k]!) + q - value) % q));
      });
      const lanes = [0, 1, 2, 3].map((k) =>
        referenceDecode(
          parameters,
          3,
          Array.from({ length: 16 }, (_unused, i) =>
            referenceLift(
              parameters.ring,
              byPrime.map((of) => Number(of[k]![i]!)),
            ),
          ),
        ),
      );
      for (let i = 0; i < 16; i++) {
        for (let r = 0; r < parameters.lanes; r++) for (let k = 0; k < 4; k++) found.push(Number(lanes[k]![i]![r]!));
      }
    }
    expect(found.slice(0, 200)).toEqual(total(vectors));
    expect([...mask.unmask(sum, keySum)]).toEqual(total(vectors));
  });
});

describe.each(Object.keys(RLWE_RINGS) as RlweRingName[])('%s', (ring) => {
  test.each([1, 5000, 300_000])('%i entries, as many clients as the limit, all at the largest value', (length) => {
    const parameters = rlweParameters({ ring, clients: 3, maxValue: 4095, length });
    const mask = rlweMask(parameters, context);
    const { sum, keySum } = maskAll(
      mask,
      [1, 2, 3].map(() => new Uint32Array(length).fill(4095)),
      seededRandom(length),
    );
    expect(mask.unmask(sum, keySum).every((value) => value === 3 * 4095)).toBe(true);
  });

  test('500 clients', () => {
    const parameters = rlweParameters({ ring, clients: 500, maxValue: 255, length: 2000 });
    const mask = rlweMask(parameters, context);
    const random = seededRandom('500');
    const vectors = Array.from({ length: 500 }, () => Uint32Array.from(random.bytes(2000)));
    const { sum, keySum } = maskAll(mask, vectors, random);
    expect([...mask.unmask(sum, keySum)]).toEqual(total(vectors));
    expect(code(() => sum.add(mask.mask(vectors[0]!, random).masked))).toBe('RLWE_LIMIT');
  });
});

describe('vectors', () => {
  test.each([
    ['rlwe-4096-90' as const, '0a34b197753a0b788df70e167ffd4032c2bd4b1fc5d8471b634b6d7c4bec5f4c'],
    ['rlwe-8192-180' as const, 'f5324a471aea64377687de893dd574f5dc2f108235a1e64cb9f744140d5566b4'],
    ['rlwe-8192-210' as const, '2cdb464d6ed4567933d88a19ea4e417a1aaa41a5b0053f1a9ad8e5f6c58d237e'],
  ])('%s: known answer', (ring, digest) => {
    const parameters = rlweParameters({ ring, clients: 100, maxValue: 1000, length: 50_000 });
    const vector = Uint32Array.from({ length: 50_000 }, (_, i) => i % 1001);
    const { masked, key } = rlweMask(parameters, context).mask(vector, { bytes: (n) => new Uint8Array(n).fill(7) });
    expect(sha256Hex(masked, new Uint8Array(key.buffer))).toBe(digest);
  });
});

describe('what a mask hides', () => {
  const parameters = rlweParameters({ ring: 'rlwe-8192-210', clients: 3, maxValue: 4095, length: 2 * 65536 });
  const zeros = new Uint32Array(parameters.length);

  test('the same vector twice has two keys, and nothing in common', () => {
    const mask = rlweMask(parameters, context);
    const one = mask.mask(zeros, systemRandom);
    const two = mask.mask(zeros, systemRandom);
    const same = one.key.filter((value, i) => value === two.key[i]).length / one.key.length;
    // Two samples agree with probability 1 / (2 sqrt(pi) sigma) = 0.063.
    expect(same).toBeLessThan(0.1);
    const a = new Uint32Array(one.masked.buffer);
    const b = new Uint32Array(two.masked.buffer);
    expect(a.filter((word, i) => word === b[i]).length).toBeLessThan(5);
  });

  test('another context, another A: the same key and errors give unrelated bytes', () => {
    const one = rlweMask(parameters, utf8('round 1')).mask(zeros, seededRandom(1));
    const two = rlweMask(parameters, utf8('round 2')).mask(zeros, seededRandom(1));
    expect(Buffer.from(one.key.buffer).equals(Buffer.from(two.key.buffer))).toBe(true);
    const a = new Uint32Array(one.masked.buffer);
    const b = new Uint32Array(two.masked.buffer);
    expect(a.filter((word, i) => word === b[i]).length).toBeLessThan(5);
  });

  test('other parameters, another A', () => {
    const seeds = [
      publicSeed(parameters, context),
      publicSeed(
        rlweParameters({ ring: 'rlwe-8192-210', clients: 4, maxValue: 4095, length: parameters.length }),
        context,
      ),
      publicSeed(parameters, utf8('task 7, round 3, attempt 2')),
      publicSeed(parameters, new Uint8Array()),
    ];
    expect(new Set(seeds.map((seed) => sha256Hex(seed))).size).toBe(seeds.length);
  });

  test.each([0, 4095])('the bytes of a masked vector of all %i are evenly spread', (value) => {
    const { masked } = rlweMask(parameters, context).mask(
      zeros.map(() => value),
      seededRandom('even'),
    );
    const counts = new Float64Array(256);
    for (const byte of masked) counts[byte]!++;
    const expected = masked.length / 256;
    const statistic = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 255 degrees of freedom: mean 255, deviation 22.6. Residues stop 0.05 % short of 2^30, which shows in one byte of four.
    expect(statistic).toBeLessThan(255 + 6 * 22.6);
  });

  test('nothing secret stays in the memory of the kernel', () => {
    const kernel = kernelOf(parameters.ring);
    const mask = rlweMask(parameters, context);
    mask.mask(
      zeros.map(() => 4095),
      systemRandom,
    );
    const left = (): boolean => kernel.secrets.some((word) => word !== 0);
    expect(left()).toBe(false);
    expect(code(() => mask.mask(zeros.with(7, 4096), systemRandom))).toBe('RLWE_VECTOR');
    expect(left()).toBe(false);
  });

  test('a key neither prints nor serialises, and can be forgotten', () => {
    const made = rlweMask(parameters, context).mask(zeros, seededRandom('print'));
    for (const text of [inspect(made, { showHidden: true, depth: 5 }), JSON.stringify(made)]) {
      expect(text.replaceAll(/\s/g, '')).not.toContain([...made.key.subarray(0, 4)].join(','));
    }
    expect(Object.keys(made)).toEqual(['masked']);
    made.forgetKey();
    expect(made.key.every((coefficient) => coefficient === 0)).toBe(true);
  });

  test('its memory does not grow, and views on it stay', () => {
    const kernel = kernelOf(parameters.ring);
    const view = kernel.errors;
    const { byteLength } = view.buffer;
    for (const length of [1, 400_000]) {
      const mask = rlweMask(rlweParameters({ ring: 'rlwe-8192-210', clients: 2, maxValue: 3, length }), context);
      maskAll(mask, [new Uint32Array(length), new Uint32Array(length)], systemRandom);
    }
    expect([view.length, view.buffer.byteLength]).toEqual([4 * 8192, byteLength]);
  });
});

describe('what is not sent', () => {
  const lanesOf = (length: number): number => parametersIn(SMALL[2]!, { clients: 3, maxValue: 255, length }).lanes;
  const room = 4 * 32 * lanesOf(1);

  test.each([1, room / 2 - 1, room / 2, room / 2 + 1, room - 1, room, room + 1, 2 * room, 2 * room + 1])(
    'of %i entries the coefficients after the last block that has one: the sum does without them',
    (length) => {
      const parameters = parametersIn(SMALL[2]!, { clients: 3, maxValue: 255, length });
      // Half of the ring is a block, so the whole of it is sent, or half of it.
      expect(parameters.blocks).toBe(Math.ceil((2 * length) / room));
      expect(parameters.maskedBytes).toBe(parameters.blocks * 2 * 240);
      const mask = rlweMask(parameters, context);
      const vectors = [1, 2, 3].map((client) => Uint32Array.from({ length }, (_, i) => (i * client) % 256));
      const { sum, keySum } = maskAll(mask, vectors, seededRandom(length));
      expect([...mask.unmask(sum, keySum)]).toEqual(total(vectors));
    },
  );

  test('a shorter vector is masked by the first bytes of what masks a longer one', () => {
    // The same A, which parameters are not part of here: what is cut off has no influence on what is sent.
    const long = parametersIn(SMALL[2]!, { clients: 3, maxValue: 255, length: room });
    const short = parametersIn(SMALL[2]!, { clients: 3, maxValue: 255, length: room / 2 });
    const seed = new Uint8Array(32);
    const vector = new Uint32Array(room).fill(7, 0, room / 2);
    const whole = referenceMask(long, seed, vector, new Uint8Array(32)).masked;
    const cut = referenceMask(short, seed, vector.subarray(0, room / 2), new Uint8Array(32)).masked;
    expect(Buffer.compare(cut, whole.subarray(0, cut.length))).toBe(0);
  });
});

describe('refusals', () => {
  const parameters = parametersIn(SMALL[3]!, { clients: 3, maxValue: 100, length: 700 });
  const mask = rlweMask(parameters, context);
  const vector = new Uint32Array(700).fill(100);
  const made = [1, 2, 3].map((seed) => mask.mask(vector, seededRandom(seed)));
  const [first, second, third] = made as [(typeof made)[0], (typeof made)[0], (typeof made)[0]];
  const sumOf = (...parts: readonly Uint8Array[]): MaskedSum => {
    const sum = mask.sum();
    for (const part of parts) sum.add(part);
    return sum;
  };
  const keySum = Int32Array.from(total([first.key, second.key]));

  test.each([0, 1, 699, 701])('a vector of %i entries', (length) => {
    expect(code(() => mask.mask(new Uint32Array(length), systemRandom))).toBe('RLWE_VECTOR');
  });

  test('one entry above the largest, wherever it stands; the message does not tell it', () => {
    fc.assert(
      fc.property(fc.nat(699), fc.integer({ min: 101, max: 2 ** 32 - 1 }), (at, value) => {
        const wrong = vector.with(at, value);
        expect(() => mask.mask(wrong, seededRandom(1))).toThrow(/^RLWE_VECTOR: an entry is above 100$/);
      }),
    );
  });

  test('bytes that are cut, longer, or not a vector at all', () => {
    const { masked } = first;
    expect(code(() => mask.check(masked))).toBe('none');
    expect(code(() => mask.check(masked.subarray(1)))).toBe('DECODE_TRUNCATED');
    expect(code(() => mask.check(new Uint8Array()))).toBe('DECODE_TRUNCATED');
    expect(code(() => mask.check(new Uint8Array(masked.length + 1)))).toBe('DECODE_TRAILING');
    expect(code(() => mask.check(new Uint8Array(masked.length).fill(0xff)))).toBe('DECODE_INVALID');
  });

  test('any bytes of the right length are refused, or come back the same', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: parameters.maskedBytes, maxLength: parameters.maskedBytes, size: 'max' }),
      fc
        .tuple(fc.nat(parameters.maskedBytes - 1), fc.integer({ min: 0, max: 255 }))
        .map(([at, byte]) => first.masked.with(at, byte)),
    );
    let taken = 0;
    fc.assert(
      fc.property(bytes, (candidate) => {
        const sum = mask.sum();
        const found = code(() => sum.add(candidate));
        if (found === 'none') taken++;
        else expect(found).toBe('DECODE_INVALID');
        expect(Buffer.compare(sum.bytes(), found === 'none' ? candidate : new Uint8Array(candidate.length))).toBe(0);
      }),
      { numRuns: 300 },
    );
    expect(taken).toBeGreaterThan(50);
  });

  test('a refused vector leaves the sum as it was, even when only its last residue is wrong', () => {
    const sum = sumOf(first.masked);
    const wrong = Uint8Array.from(second.masked).fill(0xff, -4);
    expect(code(() => sum.add(wrong))).toBe('DECODE_INVALID');
    expect([sum.clients, Buffer.compare(sum.bytes(), first.masked)]).toEqual([1, 0]);
    sum.add(second.masked);
    expect([...mask.unmask(sum, keySum)]).toEqual(total([vector, vector]));
  });

  test('bytes at an odd address are read as well', () => {
    const shifted = new Uint8Array(first.masked.length + 1);
    shifted.set(first.masked, 1);
    expect(Buffer.compare(sumOf(shifted.subarray(1)).bytes(), first.masked)).toBe(0);
  });

  test.each([0, -1, 0.5, Number.NaN, 4])('a sum of %d clients', (clients) => {
    const sum = mask.sum();
    expect(code(() => sum.add(first.masked, clients))).toBe('RLWE_LIMIT');
    expect(sum.clients).toBe(0);
  });

  test('more clients than the limit, also through partial sums', () => {
    const sum = sumOf(first.masked, second.masked);
    expect(code(() => sum.add(sum.bytes(), 2))).toBe('RLWE_LIMIT');
    sum.add(third.masked);
    expect(code(() => sum.add(first.masked))).toBe('RLWE_LIMIT');
  });

  test.each([
    ['a key is missing', () => mask.unmask(sumOf(first.masked, second.masked), first.key)],
    ['a key is too many', () => mask.unmask(sumOf(first.masked), keySum)],
    ['another client is in', () => mask.unmask(sumOf(first.masked, third.masked), keySum)],
    [
      'one coefficient is off by one',
      () => mask.unmask(sumOf(first.masked, second.masked), keySum.with(5, keySum[5]! + 1)),
    ],
    ['the key sum is short', () => mask.unmask(sumOf(first.masked, second.masked), keySum.subarray(1))],
    [
      'a coefficient is beyond what keys can sum to',
      () => mask.unmask(sumOf(first.masked, second.masked), keySum.with(0, 83)),
    ],
    [
      'a coefficient is the least of integers',
      () => mask.unmask(sumOf(first.masked, second.masked), keySum.with(0, -(2 ** 31))),
    ],
    [
      'the context is another',
      () => rlweMask(parameters, utf8('x')).unmask(sumOf(first.masked, second.masked), keySum),
    ],
    [
      'the parameters are others',
      () =>
        rlweMask(parametersIn(SMALL[3]!, { clients: 3, maxValue: 100, length: 700 }), context).unmask(
          sumOf(first.masked),
          first.key,
        ),
    ],
    [
      'a client masked for another round',
      () =>
        mask.unmask(sumOf(first.masked, rlweMask(parameters, utf8('x')).mask(vector, seededRandom(2)).masked), keySum),
    ],
  ])('unmask when %s', (_name, unmask) => {
    expect(code(unmask)).toBe('RLWE_UNMASK');
  });

  test.each([-83, 83, -(2 ** 31)])(
    'a key sum of two with a coefficient of %i is no such sum, whatever the errors say',
    (value) => {
      const sum = sumOf(first.masked, second.masked);
      expect(() => mask.unmask(sum, keySum.with(0, value))).toThrow('RLWE_UNMASK: not the sum of 2 keys');
      expect(() => mask.unmask(sum, keySum.with(0, Math.sign(value) * 82))).not.toThrow('not the sum');
    },
  );

  test('an operation within an operation on the same ring, after which all is well', () => {
    const kernel = kernelOf(parameters.ring);
    const nested = (body: () => unknown): string => code(() => kernel.exclusively(parameters, body));
    expect(nested(() => mask.mask(vector, systemRandom))).toBe('RLWE_BUSY');
    expect(nested(() => mask.check(first.masked))).toBe('none');
    expect(nested(() => mask.unmask(sumOf(), keySum))).toBe('RLWE_UNMASK');
    expect(Buffer.compare(mask.mask(vector, seededRandom(1)).masked, first.masked)).toBe(0);
  });

  test('a source of randomness that masks by itself disturbs nothing', () => {
    const inner: RandomSource = { bytes: (n) => (mask.mask(vector, systemRandom), seededRandom(1).bytes(n)) };
    expect(Buffer.compare(mask.mask(vector, inner).masked, first.masked)).toBe(0);
  });

  test('an empty sum unmasks to nothing but zeros', () => {
    expect(mask.unmask(mask.sum(), new Int32Array(16)).every((value) => value === 0)).toBe(true);
  });

  test('a vector is not changed by being masked', () => {
    expect(vector.every((value) => value === 100)).toBe(true);
  });
});

function maskedOf(mask: RlweMask, vectors: readonly Uint32Array[], seed: number): Uint8Array[] {
  const random = seededRandom(seed);
  return vectors.map((vector) => mask.mask(vector, random).masked);
}
