/**
 * A committee's key: every member deals a key of its own, the joint one is their sum, and nobody ever has it (Asharov et al. 2012, with
 * the threshold of Boneh et al. 2018). Member i draws s_i in SEAL, publishes b_i = -(A s_i + t e_i) for a common A, and shares s_i over
 * Z_q among all members (Shamir 1979), slot by slot: sums of shares are shares of the sum. What a protocol must add is that nobody chooses
 * its b_i after it saw those of others (`docs/protocol/homomorphic.md`): b_n = b* - sum of the others would make b* the joint key.
 */
import { concatBytes } from '../../bytes.ts';
import { DOMAINS } from '../../domains.ts';
import { CryptoError } from '../../errors.ts';
import { deriveKey } from '../../kdf.ts';
import type { RandomSource } from '../../random.ts';
import type { Bgv } from '../bgv.ts';
import { wordsOf } from '../bytes-of.ts';
import { generateSealKey, isZero, keyBytes } from '../keys.ts';
import {
  addTo,
  difference,
  multiplyAdd,
  multiplyAddEach,
  parseResidues,
  uniformResidues,
  writeResidues,
} from './residues.ts';
import type { Rows } from './residues.ts';

export interface DealtKey {
  /** b_i, over the primes of a key. */
  readonly publicShare: Uint8Array<ArrayBuffer>;
  /** Of s_i, one for each member in order of their numbers, over the primes of a ciphertext. */
  readonly shares: readonly Uint8Array<ArrayBuffer>[];
}

/** A: uniform, and nobody's choice. @param context 32 bytes that all parties agree on */
export function commonReference(bgv: Bgv, context: Uint8Array): Uint8Array<ArrayBuffer> {
  return writeResidues(uniformResidues(keyRows(bgv), deriveKey(context, DOMAINS.sealReference, context), 0, 'public'));
}

/** A key of this call alone. @throws CryptoError `SEAL_PARAMETERS` when the parameters are not a committee's */
export function dealKey(bgv: Bgv, reference: Uint8Array, random: RandomSource): DealtKey {
  const { members, threshold } = committeeOf(bgv);
  const { secretKey, publicKey } = generateSealKey(bgv);
  const rows = keyRows(bgv);
  const own = wordsOf(publicKey.subarray(0, keyBytes(bgv)));
  const ownReference = wordsOf(publicKey.subarray(keyBytes(bgv)));
  const secret = wordsOf(secretKey);
  // SEAL gave -(a s + t e): what is (a - A) s above it is -(A s + t e).
  const publicShare = difference(rows, ownReference, parseResidues(rows, 'a common reference', reference));
  multiplyAddEach(rows, publicShare, secret, own);
  const dealt = secret.slice(0, bgv.dataPrimes.length * rows.dimension);
  const shares = shareOut(dataRows(bgv), dealt, { members, threshold }, random);
  for (const words of [secret, dealt]) words.fill(0n);
  secretKey.fill(0);
  return { publicShare: writeResidues(publicShare), shares };
}

/** (sum of b_i, A). @throws CryptoError `SEAL_KEY` */
export function jointPublicKey(
  bgv: Bgv,
  reference: Uint8Array,
  publicShares: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const { members, threshold } = committeeOf(bgv);
  if (publicShares.length < threshold || publicShares.length > members)
    throw new CryptoError('SEAL_KEY', `${publicShares.length} shares of a key, ${threshold} to ${members} wanted`);
  const rows = keyRows(bgv);
  const sum = new BigUint64Array(rows.primes.length * rows.dimension);
  for (const share of publicShares) addTo(rows, sum, readPublicShare(bgv, share));
  return concatBytes(writeResidues(sum), reference);
}

/** @throws CryptoError `SEAL_KEY` */
export function checkPublicShare(bgv: Bgv, share: Uint8Array): void {
  readPublicShare(bgv, share);
}

/** A member's share of the joint key, of what all dealt to it. @throws CryptoError `SEAL_KEY` */
export function addKeyShares(bgv: Bgv, shares: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const rows = dataRows(bgv);
  const sum = new BigUint64Array(rows.primes.length * rows.dimension);
  for (const share of shares) addTo(rows, sum, parseResidues(rows, 'a share of a key', share));
  return writeResidues(sum);
}

/** Bytes of a share of a key. */
export function keyShareBytes({ dataPrimes, parameters }: Bgv): number {
  return 8 * dataPrimes.length * parameters.profile.dimension;
}

export function dataRows({ dataPrimes, parameters }: Bgv): Rows {
  return { primes: dataPrimes, dimension: parameters.profile.dimension };
}

/** @throws CryptoError `SEAL_PARAMETERS` */
export function committeeOf({ parameters }: Bgv): { readonly members: number; readonly threshold: number } {
  if (parameters.keys.kind !== 'committee') throw new CryptoError('SEAL_PARAMETERS', 'the key is not a committee’s');
  return parameters.keys;
}

function keyRows({ keyPrimes, parameters }: Bgv): Rows {
  return { primes: keyPrimes, dimension: parameters.profile.dimension };
}

function readPublicShare(bgv: Bgv, share: Uint8Array): BigUint64Array<ArrayBuffer> {
  if (isZero(share)) throw new CryptoError('SEAL_KEY', 'a share of a public key that is 0');
  return parseResidues(keyRows(bgv), 'a share of a public key', share);
}

/** Shamir's polynomial at 1, 2, ..., by Horner's rule: the secret is its value at 0. */
function shareOut(
  rows: Rows,
  secret: BigUint64Array<ArrayBuffer>,
  { members, threshold }: { readonly members: number; readonly threshold: number },
  random: RandomSource,
): Uint8Array<ArrayBuffer>[] {
  const seed = random.bytes(32);
  const coefficients = Array.from({ length: threshold - 1 }, (_, i) => uniformResidues(rows, seed, i, 'secret'));
  const shares = Array.from({ length: members }, (_, i) => {
    const at = coefficients[threshold - 2]!.slice();
    for (let degree = threshold - 3; degree >= 0; degree--) {
      multiplyAdd(rows, at, () => BigInt(i + 1), coefficients[degree]!);
    }
    multiplyAdd(rows, at, () => BigInt(i + 1), secret);
    return writeResidues(at);
  });
  for (const words of coefficients) words.fill(0n);
  seed.fill(0);
  return shares;
}
