import { CryptoError, decodeRlweParameters, encodeRlweParameters, RLWE_RINGS, rlweParameters } from '@carapace/crypto';
import type { RlweChoice, RlweRingName } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { discreteGaussian } from '../../src/rlwe/gaussian.ts';
import { isPrimeBelow2To31 } from '../../src/rlwe/modular.ts';
import { modulusOf, ringOf } from '../../src/rlwe/ring.ts';

const NAMES = Object.keys(RLWE_RINGS) as RlweRingName[];
const large = RLWE_RINGS['rlwe-8192-210'];
const code = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    if (error instanceof CryptoError) return error.code;
    throw error;
  }
  return 'none';
};

describe('the gate of the rings', () => {
  const choice = { ...large, against: 'classical' as const };

  test('the primes are the largest below 2^30 that are 1 modulo 2^14', () => {
    const primes: number[] = [];
    for (let n = 2 ** 30 + 1; primes.length < 7; n -= 2 ** 14) if (isPrimeBelow2To31(BigInt(n))) primes.push(n);
    expect(large.primes).toEqual(primes.filter((prime) => prime < 2 ** 30));
  });

  test('primality by trial division', () => {
    const isPrime = (n: number): boolean => {
      for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
      return n > 1;
    };
    expect(large.primes.every(isPrime)).toBe(true);
    for (let n = 0; n < 3000; n++) expect([n, isPrimeBelow2To31(BigInt(n))]).toEqual([n, isPrime(n)]);
  });

  test.each([
    ['a larger modulus than the standard allows', { primes: [...large.primes, 1072857089] }, 'RLWE_INSECURE'],
    ['210 bits where an attacker has a quantum computer', { against: 'quantum' as const }, 'RLWE_INSECURE'],
    ['the dimension below', { dimension: 4096 }, 'RLWE_INSECURE'],
    [
      'a dimension that the standard does not list',
      { dimension: 512, primes: large.primes.slice(0, 1) },
      'RLWE_INSECURE',
    ],
    ['ternary errors', { error: discreteGaussian(1.5) }, 'RLWE_INSECURE'],
    ['errors that are too narrow once their sum is known', { error: discreteGaussian(40.5) }, 'RLWE_INSECURE'],
    ['secrets that are too narrow once their sum is known', { secret: discreteGaussian(2.5) }, 'RLWE_INSECURE'],
    ['no primes', { primes: [] }, 'RLWE_PARAMETERS'],
    ['the same prime twice', { primes: [large.primes[0]!, large.primes[0]!] }, 'RLWE_PARAMETERS'],
    ['a composite', { primes: [2 ** 30 - 2 ** 14 + 1] }, 'RLWE_PARAMETERS'],
    ['a prime without roots of -1', { primes: [1073741789] }, 'RLWE_PARAMETERS'],
    ['a prime of 31 bits', { primes: [1073872897] }, 'RLWE_PARAMETERS'],
    ['a small prime', { primes: [65537] }, 'RLWE_PARAMETERS'],
    ['a fraction', { primes: [large.primes[0]! + 0.5] }, 'RLWE_PARAMETERS'],
  ])('refuses %s', (_name, change, expected) => {
    expect(code(() => ringOf({ ...choice, ...change }))).toBe(expected);
  });

  test('takes what it should', () => {
    expect(code(() => ringOf(choice))).toBe('none');
  });
});

describe('parameters', () => {
  const choices: fc.Arbitrary<RlweChoice> = fc.record({
    ring: fc.constantFrom(...NAMES),
    clients: fc.oneof(
      fc.integer({ min: 2, max: 2 ** 20 }),
      fc.integer({ min: 2, max: 300 }),
      fc.constantFrom(2, 2 ** 20),
    ),
    maxValue: fc.oneof(fc.integer({ min: 1, max: 2 ** 30 - 1 }), fc.integer({ min: 1, max: 2 ** 12 })),
    length: fc.oneof(fc.integer({ min: 1, max: 2 ** 27 }), fc.integer({ min: 1, max: 10 ** 6 })),
  });

  test('either refused, or no sum can overflow its lane, no error reaches past Q, and the kernel has room', () => {
    let taken = 0;
    fc.assert(
      fc.property(choices, (choice) => {
        const found = code(() => rlweParameters(choice));
        if (found !== 'none') {
          expect(found).toBe('RLWE_PARAMETERS');
          return;
        }
        taken++;
        const { ring, clients, maxValue, length, lanes, laneBits, blocks, maskedBytes } = rlweParameters(choice);
        const q = modulusOf(ring);
        const t = 1n << BigInt(lanes * laneBits);
        const top = BigInt(2 * ring.error.bound * clients);
        expect(clients * maxValue < 2 ** laneBits).toBe(true);
        expect((top + 1n) * t <= q).toBe(true);
        expect(lanes * (2 ** laneBits - 1) + 2 * ring.error.bound < 2 ** 32).toBe(true);
        expect(lanes >= 1 && lanes <= 24 && laneBits <= 30).toBe(true);
        expect(top < 1n << 32n && q / BigInt(ring.primes.at(-1)!) / t < 1n << 32n && q / t < 1n << 62n).toBe(true);
        expect(clients * ring.secret.bound < ring.primes.at(-1)!).toBe(true);
        expect(64 * blocks * lanes >= length).toBe(true);
        expect(64 * (blocks - 1) * lanes < length).toBe(true);
        expect(maskedBytes).toBe((64 * blocks * ring.primes.length * 30) / 8);
      }),
      { numRuns: 3000 },
    );
    expect(taken).toBeGreaterThan(500);
  });

  test.each([
    [{ ring: 'rlwe-8192-210' as const, clients: 500, maxValue: 4095, length: 10 ** 6 }, 9, 21, 2_918_160],
    [{ ring: 'rlwe-8192-210' as const, clients: 256, maxValue: 255, length: 10 ** 6 }, 12, 16, 2_189_040],
    [{ ring: 'rlwe-8192-180' as const, clients: 500, maxValue: 4095, length: 10 ** 6 }, 7, 23, 3_215_520],
    [{ ring: 'rlwe-4096-90' as const, clients: 100, maxValue: 4095, length: 12_288 }, 3, 25, 46_080],
  ])('%o', (choice, lanes, laneBits, maskedBytes) => {
    expect(rlweParameters(choice)).toMatchObject({ lanes, laneBits, maskedBytes });
  });

  const good: RlweChoice = { ring: 'rlwe-8192-210', clients: 10, maxValue: 255, length: 100 };
  test.each([
    { ring: 'rlwe-1024-30' as RlweRingName },
    { ring: 'toString' as RlweRingName },
    { clients: 1 },
    { clients: 2 ** 20 + 1 },
    { clients: 2.5 },
    { clients: Number.NaN },
    { maxValue: 0 },
    { maxValue: 2 ** 30 },
    { maxValue: 2 ** 29, clients: 4 },
    { length: 0 },
    { length: 2 ** 27 + 1 },
    { length: Number.POSITIVE_INFINITY },
  ])('refuses %o', (change) => {
    expect(code(() => rlweParameters({ ...good, ...change }))).toBe('RLWE_PARAMETERS');
  });

  test('decode(encode(x)) = x', () => {
    fc.assert(
      fc.property(choices, (choice) => {
        if (code(() => rlweParameters(choice)) !== 'none') return;
        const parameters = rlweParameters(choice);
        expect(decodeRlweParameters(encodeRlweParameters(parameters))).toEqual(parameters);
      }),
    );
  });

  test('any bytes are refused with a code or are the one spelling of what they decode to', () => {
    const spelling = encodeRlweParameters(rlweParameters(good));
    const mutated = fc.tuple(fc.nat(spelling.length - 1), fc.integer({ min: 0, max: 255 })).map(([at, byte]) => {
      const bytes = Uint8Array.from(spelling);
      bytes[at] = byte;
      return bytes;
    });
    const cut = fc.nat(spelling.length).map((length) => spelling.subarray(0, length));
    const longer = fc.uint8Array({ minLength: 1, maxLength: 4 }).map((tail) => Uint8Array.from([...spelling, ...tail]));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), mutated, cut, longer), (bytes) => {
        if (code(() => decodeRlweParameters(bytes)) === 'none') {
          expect([...encodeRlweParameters(decodeRlweParameters(bytes))]).toEqual([...bytes]);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
