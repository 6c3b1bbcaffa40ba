/**
 * A committee's key: every member deals a key of its own, the joint one is their sum, and nobody ever has it (Asharov et al. 2012, with
 * the threshold of Boneh et al. 2018). Member i draws s_i in SEAL, publishes b_i = -(A s_i + t e_i) for a common A, and shares s_i out in
 * pieces over Z_q (`pieces.ts`): sums of shares are shares of the sum. Nobody may choose its b_i after it saw those of others:
 * `commitment.ts`. A dealer that shares out something else than the key behind its b_i spoils openings, which shows, and learns nothing.
 */
import { concatBytes } from '../../bytes.ts';
import { DOMAINS } from '../../domains.ts';
import { CryptoError } from '../../errors.ts';
import { deriveKey } from '../../kdf.ts';
import type { RandomSource } from '../../random.ts';
import type { Bgv } from '../bgv.ts';
import { wordsOf } from '../bytes-of.ts';
import { generateSealKey, isZero, keyBytes } from '../keys.ts';
import { heldBy, piecesOf, piecesOfMember } from './pieces.ts';
import { addTo, difference, multiplyAddEach, parseResidues, uniformResidues, writeResidues } from './residues.ts';
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
  committeeOf(bgv);
  const { secretKey, publicKey } = generateSealKey(bgv);
  const rows = keyRows(bgv);
  const own = wordsOf(publicKey.subarray(0, keyBytes(bgv)));
  const ownReference = wordsOf(publicKey.subarray(keyBytes(bgv)));
  const secret = wordsOf(secretKey);
  // SEAL gave -(a s + t e): what is (a - A) s above it is -(A s + t e).
  const publicShare = difference(rows, ownReference, parseResidues(rows, 'a common reference', reference));
  multiplyAddEach(rows, publicShare, secret, own);
  const dealt = secret.slice(0, bgv.dataPrimes.length * rows.dimension);
  const shares = shareOut(bgv, dealt, random);
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
  const step = bgv.polynomialBytes;
  const sum = new Uint8Array(keyShareBytes(bgv));
  for (let from = 0; from < sum.length; from += step) {
    sum.set(
      sumOfPieces(
        bgv,
        shares.map((share) => checkedShare(bgv, share).subarray(from, from + step)),
      ),
      from,
    );
  }
  return sum;
}

/** The sum of polynomials over the primes of a ciphertext. @throws CryptoError `SEAL_KEY` */
export function sumOfPieces(bgv: Bgv, pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const rows = dataRows(bgv);
  const sum = new BigUint64Array(rows.primes.length * rows.dimension);
  for (const piece of pieces) {
    const words = parseResidues(rows, 'a piece of a key', piece);
    addTo(rows, sum, words);
    words.fill(0n);
  }
  return writeResidues(sum);
}

/** Bytes of a share of a key: a polynomial for every piece that a member holds. */
export function keyShareBytes(bgv: Bgv): number {
  const { members, threshold } = committeeOf(bgv);
  return piecesOfMember(members, threshold) * bgv.polynomialBytes;
}

/** @throws CryptoError `SEAL_KEY` */
export function checkedShare(bgv: Bgv, share: Uint8Array): Uint8Array {
  const length = keyShareBytes(bgv);
  if (share.length !== length)
    throw new CryptoError('SEAL_KEY', `a share of a key of ${share.length} bytes, not ${length}`);
  return share;
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

/** Pieces are uniform but the last, which is what the others lack of the secret. */
function shareOut(bgv: Bgv, secret: BigUint64Array<ArrayBuffer>, random: RandomSource): Uint8Array<ArrayBuffer>[] {
  const { members, threshold } = committeeOf(bgv);
  const rows = dataRows(bgv);
  const sets = piecesOf(members, threshold);
  const seed = random.bytes(32);
  const pieces = sets.slice(1).map((_, i) => uniformResidues(rows, seed, i, 'secret'));
  pieces.push(pieces.reduce((rest, piece) => differenceOnto(rows, rest, piece), secret.slice()));
  const written = pieces.map((piece) => writeResidues(piece));
  const shares = Array.from({ length: members }, (_, i) =>
    concatBytes(...heldBy(i + 1, sets).map((place) => written[place]!)),
  );
  for (const words of pieces) words.fill(0n);
  for (const bytes of [seed, ...written]) bytes.fill(0);
  return shares;
}

/** The place of `rest` is wiped. */
function differenceOnto(
  rows: Rows,
  rest: BigUint64Array<ArrayBuffer>,
  piece: BigUint64Array<ArrayBuffer>,
): BigUint64Array<ArrayBuffer> {
  const less = difference(rows, rest, piece);
  rest.fill(0n);
  return less;
}
