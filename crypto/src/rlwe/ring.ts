/**
 * The rings Z_Q[X] / (X^N + 1) that the mask may work in, and the gate that every one of them went through.
 *
 * The bound on Q is the table of the Homomorphic Encryption Security Standard v1.1 (2018), 128 bits, ternary secrets, errors of deviation
 * 8 / sqrt(2 pi), for attackers without (`classical`) and with (`quantum`) a quantum computer. The same figures stand in SEAL's
 * `hestdparms.h`. `docs/protocol/rlwe-mask.md` says why the table applies to secrets and errors that are wider than its own.
 */
import { CryptoError } from '../errors.ts';
import { discreteGaussian } from './gaussian.ts';
import type { Gaussian } from './gaussian.ts';
import { isPrimeBelow2To31 } from './modular.ts';

type Adversary = 'classical' | 'quantum';

/** log2 Q at most, by dimension N. */
const STANDARD_BITS: Readonly<Record<Adversary, Readonly<Record<number, number>>>> = {
  classical: { 1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438, 32768: 881 },
  quantum: { 1024: 25, 2048: 51, 4096: 101, 8192: 202, 16384: 411, 32768: 827 },
};

/** Variances below which the table says nothing: of a ternary secret, and of its error. */
const LEAST_SECRET_VARIANCE = 2 / 3;
const LEAST_ERROR_VARIANCE = 32 / Math.PI;

/** An unmasked round gives away the sum of the keys and of the errors, which halves the variance that is left to one of two honest clients. */
const SHARE_LEFT_BY_THE_SUM = 1 / 2;

export interface Ring {
  readonly name: string;
  /** N, a power of two. */
  readonly dimension: number;
  /** The factors of Q, each between 2^29 and 2^30 and 1 modulo 2N. */
  readonly primes: readonly number[];
  /** Of the coefficients of a key. */
  readonly secret: Gaussian;
  /** Of the coefficients of an error. */
  readonly error: Gaussian;
}

interface RingChoice extends Ring {
  /** Whose column of the table bounds Q. */
  readonly against: Adversary;
}

/** The one way to a ring. @throws CryptoError `RLWE_INSECURE`, `RLWE_PARAMETERS` */
export function ringOf({ against, ...ring }: RingChoice): Ring {
  checkPrimes(ring);
  const bits = STANDARD_BITS[against][ring.dimension];
  const modulusBits = bitLength(modulusOf(ring));
  if (bits === undefined || modulusBits > bits) {
    throw insecure(`dimension ${ring.dimension} with a modulus of ${modulusBits} bits, at most ${bits ?? 0} allowed`);
  }
  const secretVariance = (ring.secret.twiceVariance / 2) * SHARE_LEFT_BY_THE_SUM;
  const errorVariance = (ring.error.twiceVariance / 2) * SHARE_LEFT_BY_THE_SUM;
  if (secretVariance < LEAST_SECRET_VARIANCE || errorVariance < LEAST_ERROR_VARIANCE) {
    throw insecure('secrets or errors are narrower than those of the standard');
  }
  return Object.freeze({ ...ring, primes: Object.freeze([...ring.primes]) });
}

/** Q. */
export function modulusOf({ primes }: Pick<Ring, 'primes'>): bigint {
  return primes.reduce((product, prime) => product * BigInt(prime), 1n);
}

export function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

function checkPrimes({ dimension, primes }: Pick<Ring, 'dimension' | 'primes'>): void {
  const fits = (prime: number): boolean =>
    prime > 2 ** 29 && prime < 2 ** 30 && prime % (2 * dimension) === 1 && isPrimeBelow2To31(BigInt(prime));
  if (primes.length === 0 || new Set(primes).size !== primes.length || !primes.every(fits)) {
    throw new CryptoError('RLWE_PARAMETERS', `not distinct primes of 30 bits that are 1 modulo ${2 * dimension}`);
  }
}

function insecure(why: string): CryptoError {
  return new CryptoError('RLWE_INSECURE', why);
}

/** The constants of Willow (Bell-Clark et al., CRYPTO 2025), whose released sums are ours: sigma 4.5 and sqrt(2) * 4.5. */
export const SECRET: Gaussian = discreteGaussian(40.5);
export const ERROR: Gaussian = discreteGaussian(81);

/** The largest primes below 2^30 that are 1 modulo 2^14, and so modulo 2N for every N up to 8192. */
const PRIMES = [1073692673, 1073643521, 1073479681, 1073430529, 1073299457, 1073233921, 1073184769] as const;

export type RlweRingName = 'rlwe-4096-90' | 'rlwe-8192-180' | 'rlwe-8192-210';

export const RLWE_RINGS: Readonly<Record<RlweRingName, Ring>> = {
  /** For short vectors. */
  'rlwe-4096-90': ringOf(willow('rlwe-4096-90', 4096, 3, 'quantum')),
  /** Within the bound against quantum computers, for some more bytes. */
  'rlwe-8192-180': ringOf(willow('rlwe-8192-180', 8192, 6, 'quantum')),
  /** The fewest bytes. */
  'rlwe-8192-210': ringOf(willow('rlwe-8192-210', 8192, 7, 'classical')),
};

function willow(name: RlweRingName, dimension: number, primes: number, against: Adversary): RingChoice {
  return { name, dimension, primes: PRIMES.slice(0, primes), against, secret: SECRET, error: ERROR };
}
