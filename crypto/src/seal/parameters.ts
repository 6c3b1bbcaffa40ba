/**
 * Parameters of packed BGV as a function of what is to be summed: how many clients, how large values, under whose key. Several values
 * lie in one slot, each in a lane that the sum of all clients cannot overflow; t, the plain modulus, is just wide enough for the lanes, and Q
 * for t, for the noise of all clients' encryptions and, under a committee's key, for the noise that its members hide their shares in. Of
 * the profiles in which this is possible that with the fewest bytes for a value is taken, and of two alike the one that comes first in
 * the table. What does not fit is refused.
 */
import { CryptoError } from '../errors.ts';
import { piecesOfMember } from './committee/pieces.ts';
import { noiseBits } from './noise.ts';
import type { Encryption } from './noise.ts';
import { checkSecurity, isSecure, polynomialBytes, SEAL_PROFILES } from './profile.ts';
import type { SealProfile, SealProfileName, SealSecurity } from './profile.ts';

export type KeyArrangement =
  /** One secret key, which all clients and whoever opens the sum have. */
  | { readonly kind: 'shared' }
  /** One key holder; clients have its public key. */
  | { readonly kind: 'holder' }
  /** Members of whom any `threshold` open a sum. */
  | { readonly kind: 'committee'; readonly members: number; readonly threshold: number };

export interface SealChoice {
  readonly keys: KeyArrangement;
  /** How many ciphertexts may be added, 1 to 2^16 - 1. */
  readonly clients: number;
  /** Values are integers from 0 to this. */
  readonly maxValue: number;
  /** Values of a vector, 1 to 2^31. */
  readonly length: number;
  readonly security?: SealSecurity;
  /** Asks for one profile. Without it the one with the fewest bytes is taken. */
  readonly profile?: SealProfileName;
}

export interface SealParameters {
  readonly profile: SealProfile;
  readonly keys: KeyArrangement;
  readonly clients: number;
  readonly maxValue: number;
  readonly length: number;
  readonly security: SealSecurity;
  /** Bits of t. */
  readonly plainBits: number;
  readonly laneBits: number;
  readonly lanesPerSlot: number;
  readonly blocks: number;
  /** log2 of a member's noise in units of t; 0 without a committee. */
  readonly smudgingBits: number;
  /** Bits of noise budget that are left in an honest sum of all clients, at least. */
  readonly spareBits: number;
}

/**
 * A member's share of an opening is shifted by at most the noise of the sum: noise 2^40 times as wide puts the two within a
 * statistical distance of 2^-41 for each coefficient.
 */
export const SMUDGING_SECURITY_BITS = 40;
export const MOST_HOLDERS = 16;
/** Of a member's share of the key: 4 of 7 have 20, 5 of 8 have 35, n of n one. */
export const MOST_PIECES = 35;

const MOST_CLIENTS = 0xffff;
const MOST_VALUES = 2 ** 31;
const MOST_LANE_BITS = 32;
/** SEAL allows one more, with which some rings have a prime of their own. */
const MOST_PLAIN_BITS = 59;
/** A prime that is 1 modulo 2N has more bits than that. */
const LEAST_PLAIN_BITS = 20;
/** Noise of a member is drawn as one word of 64 bits, and stays below the primes. */
const MOST_SMUDGING_BITS = 58;

/** @throws CryptoError `SEAL_PARAMETERS`, `SEAL_INSECURE` */
export function sealParameters(choice: SealChoice): SealParameters {
  checkChoice(choice);
  const { profile: name, security = 128 } = choice;
  const profiles = name === undefined ? Object.values(SEAL_PROFILES) : [profileNamed(name)];
  for (const profile of name === undefined ? [] : profiles) checkSecurity(profile, security);
  const fitting = profiles.filter((profile) => isSecure(profile, security)).flatMap((profile) => fit(profile, choice));
  const [best] = fitting.toSorted((a, b) => bytesPerValue(a) - bytesPerValue(b));
  if (best === undefined) {
    const { keys, clients, maxValue } = choice;
    throw refused(
      `sums of ${clients} values up to ${maxValue} do not fit ${name ?? 'any ring'} under a ${keys.kind} key with ${security} bits of security`,
    );
  }
  return best;
}

/** Ciphertext bytes of both polynomials, without seeds. */
export function bytesPerValue({ profile, lanesPerSlot, keys }: SealParameters): number {
  const polynomials = keys.kind === 'shared' ? 1 : 2;
  return (polynomials * polynomialBytes(profile)) / (profile.dimension * lanesPerSlot);
}

export function encryptionOf(keys: KeyArrangement): Encryption {
  if (keys.kind === 'shared') return { kind: 'symmetric' };
  return { kind: 'public', holders: keys.kind === 'holder' ? 1 : keys.members };
}

/** The widest packing in one profile, or nothing. */
function fit(profile: SealProfile, choice: SealChoice): SealParameters[] {
  const { keys, clients, maxValue, length, security = 128 } = choice;
  const laneBits = Math.floor(Math.log2(clients * maxValue)) + 1;
  const sumBits = noiseBits(profile, encryptionOf(keys), clients);
  // The primes are the largest of their bits, so that of log2 Q less than a hundredth is missing; one bit is for the sign.
  const modulusBits = profile.dataBits.reduce((sum, bits) => sum + bits, 0) - 1.01;
  for (let lanesPerSlot = Math.floor((MOST_PLAIN_BITS - 1) / laneBits); lanesPerSlot >= 1; lanesPerSlot--) {
    const plainBits = plainBitsIn(profile, lanesPerSlot * laneBits + 1);
    const room = modulusBits - plainBits;
    const { smudgingBits, spareBits } = noiseIn(room, sumBits, keys);
    if (spareBits < 1 || (keys.kind === 'committee' && smudgingBits < sumBits + SMUDGING_SECURITY_BITS)) continue;
    const blocks = Math.ceil(length / (lanesPerSlot * profile.dimension));
    const rest = { plainBits, laneBits, lanesPerSlot, blocks, smudgingBits, spareBits };
    return [Object.freeze({ profile, keys, clients, maxValue, length, security, ...rest })];
  }
  return [];
}

/** SEAL takes the largest prime of its bits for t as for the others, and two must not be the same. */
function plainBitsIn({ dataBits, specialBits }: SealProfile, least: number): number {
  const bits = Math.max(LEAST_PLAIN_BITS, least);
  return dataBits.includes(bits) || specialBits === bits ? bits + 1 : bits;
}

/** Members take all the room there is but two bits. */
function noiseIn(room: number, sumBits: number, keys: KeyArrangement): { smudgingBits: number; spareBits: number } {
  if (keys.kind !== 'committee') return { smudgingBits: 0, spareBits: Math.floor(room - sumBits) };
  const smudgingBits = Math.min(MOST_SMUDGING_BITS, Math.floor(room - Math.log2(keys.threshold)) - 2);
  const all = Math.log2(2 ** sumBits + keys.threshold * 2 ** smudgingBits);
  return { smudgingBits, spareBits: Math.floor(room - all) };
}

function profileNamed(name: string): SealProfile {
  if (!Object.hasOwn(SEAL_PROFILES, name)) throw refused('no such ring');
  return SEAL_PROFILES[name as SealProfileName];
}

function checkChoice({ keys, clients, maxValue, length, security = 128 }: SealChoice): void {
  checkInteger('clients', clients, 1, MOST_CLIENTS);
  checkInteger('maxValue', maxValue, 1, 2 ** MOST_LANE_BITS - 1);
  checkInteger('length', length, 1, MOST_VALUES);
  if (clients * maxValue >= 2 ** MOST_LANE_BITS) {
    throw refused(`sums of ${clients} values up to ${maxValue} do not fit ${MOST_LANE_BITS} bits`);
  }
  if (security !== 128 && security !== 192 && security !== 256) throw refused(`a security of ${String(security)} bits`);
  if (keys.kind === 'committee') checkCommittee(keys.members, keys.threshold);
}

function checkCommittee(members: number, threshold: number): void {
  checkInteger('members', members, 2, MOST_HOLDERS);
  checkInteger('threshold', threshold, 2, members);
  // Two sets of that many would have nobody in common, and could open two sums that differ in one client.
  if (2 * threshold <= members) throw refused(`a threshold of ${threshold} among ${members} is not more than half`);
  const pieces = piecesOfMember(members, threshold);
  if (pieces > MOST_PIECES)
    throw refused(`${threshold} of ${members} take ${pieces} pieces of a key each, at most ${MOST_PIECES} are handled`);
}

function checkInteger(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw refused(`${name} is ${value}, not an integer from ${min} to ${max}`);
  }
}

function refused(why: string): CryptoError {
  return new CryptoError('SEAL_PARAMETERS', why);
}
