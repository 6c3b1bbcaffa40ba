/**
 * The rings that updates are encrypted in, and the gate that each went through: the table of the Homomorphic Encryption Security
 * Standard v1.1 (2018) for ternary secrets, classical attackers, which SEAL holds them against once more.
 */
import { CryptoError } from '../errors.ts';

export type SealSecurity = 128 | 192 | 256;

/** log2 Q at most, by dimension N: for 128, 192 and 256 bits (table 1 of the standard; SEAL's `hestdparms.h`). */
const STANDARD_BITS: Readonly<Record<SealSecurity, Readonly<Record<number, number>>>> = {
  128: { 1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438, 32768: 881 },
  192: { 1024: 19, 2048: 37, 4096: 75, 8192: 152, 16384: 305, 32768: 611 },
  256: { 1024: 14, 2048: 29, 4096: 58, 8192: 118, 16384: 237, 32768: 476 },
};

export interface SealProfile {
  readonly name: string;
  /** N: slots of a block. */
  readonly dimension: number;
  /** Bits of the primes of Q that a ciphertext is made of. */
  readonly dataBits: readonly number[];
  /** Bits of the prime that encryption under a public key is rounded by, or null where there is none. */
  readonly specialBits: number | null;
}

/** @throws CryptoError `SEAL_INSECURE` */
export function checkSecurity(profile: SealProfile, security: SealSecurity): void {
  if (isSecure(profile, security)) return;
  const most = STANDARD_BITS[security][profile.dimension] ?? 0;
  throw new CryptoError(
    'SEAL_INSECURE',
    `${profile.name} has a modulus of ${modulusBits(profile)} bits, at most ${most} give ${security} bits of security`,
  );
}

export function isSecure(profile: SealProfile, security: SealSecurity): boolean {
  return modulusBits(profile) <= (STANDARD_BITS[security][profile.dimension] ?? 0);
}

/** Of the largest modulus that anything is encrypted under. */
function modulusBits({ dataBits, specialBits }: SealProfile): number {
  return dataBits.reduce((sum, each) => sum + each, specialBits ?? 0);
}

/** Bytes of one polynomial of a block. */
export function polynomialBytes({ dimension, dataBits }: SealProfile): number {
  return 8 * dimension * dataBits.length;
}

export type SealProfileName = 'n2048-54' | 'n4096-60' | 'n4096-86' | 'n8192-120';

/** In order of preference between two that cost the same bytes. */
export const SEAL_PROFILES: Readonly<Record<SealProfileName, SealProfile>> = {
  'n4096-60': { name: 'n4096-60', dimension: 4096, dataBits: [60], specialBits: null },
  'n4096-86': { name: 'n4096-86', dimension: 4096, dataBits: [43, 43], specialBits: 23 },
  /** The one with room for the noise that hides what key holders know: within the bound for 192 bits. */
  'n8192-120': { name: 'n8192-120', dimension: 8192, dataBits: [60, 60], specialBits: 30 },
  /** At the standard's limit, which newer estimates put at 126 bits (`docs/protocol/homomorphic.md`). */
  'n2048-54': { name: 'n2048-54', dimension: 2048, dataBits: [54], specialBits: null },
};
