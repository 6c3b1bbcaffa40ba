/**
 * How a committee opens a sum. Member j of a quorum gives, for every block, u_j = t^-1 sigma_j c1 + e_j, with sigma_j the sum of the
 * pieces of the key that it answers for, and e_j uniform in [-2^k, 2^k) (`SealParameters.smudgingBits`): what is told of the key beyond the
 * sum that is opened drowns in e_j. c0 + t (sum of u_j) is m + t E': opened under "t" for a key.
 *
 * The noise follows from the share of the key, the mask and the quorum: who asks twice gets the same words, and cannot average the
 * noise away. That is within one set of parameters, which are hashed too; two quorums give two noises, and cost one bit.
 *
 * That c1 is the sum of honest encryptions is the caller's to know: of a c1 that somebody chose, one answer tells the key. A member adds
 * up the masks of the contributors by itself (`mask-sum.ts`), and answers for nothing else.
 */
import { utf8 } from '../../bytes.ts';
import { DOMAINS } from '../../domains.ts';
import { CryptoError } from '../../errors.ts';
import { sha256 } from '../../hash.ts';
import { deriveKey } from '../../kdf.ts';
import { keyStream } from '../../key-stream.ts';
import { invert } from '../../rlwe/modular.ts';
import type { Bgv } from '../bgv.ts';
import { bytesOfWords } from '../bytes-of.ts';
import { bodyBytes } from '../encryption.ts';
import { keyBytes } from '../keys.ts';
import { openSum } from '../opening.ts';
import type { OpenedSum } from '../opening.ts';
import { addTo, multiplyAdd, parseResidues, writeResidues } from './residues.ts';
import { checkedShare, committeeOf, dataRows, sumOfPieces } from './key.ts';
import { answeredBy, heldBy, piecesOf } from './pieces.ts';
import { openRingKey } from './ring.ts';

/** Numbers of members, from 1, rising, exactly as many as the threshold. */
export type Quorum = readonly number[];

/** Member `number`'s share of the opening, block after block. @param mask c1 of every block. @throws CryptoError `SEAL_KEY`, `SEAL_CIPHERTEXT` */
export function* openingShare(
  bgv: Bgv,
  keyShare: Uint8Array,
  { number, quorum }: { readonly number: number; readonly quorum: Quorum },
  mask: Uint8Array,
): Generator<undefined, Uint8Array<ArrayBuffer>> {
  checkQuorum(bgv, quorum);
  if (!quorum.includes(number)) throw new CryptoError('SEAL_KEY', `member ${number} is not of the quorum`);
  const { blocks } = bgv.parameters;
  const step = bgv.polynomialBytes;
  if (mask.length !== blocks * step)
    throw new CryptoError('SEAL_CIPHERTEXT', `half a sum of ${mask.length} bytes, not ${blocks * step}`);
  const key = openRingKey(bgv, scaledShare(bgv, keyShare, number, quorum));
  const seed = smudgingSeed(bgv, keyShare, { number, quorum }, mask);
  try {
    const share = new Uint8Array(mask.length);
    for (let block = 0; block < blocks; block++) {
      const noise = key.transform(smudging(bgv, seed, block));
      share.set(key.multiplyAdd(mask.subarray(block * step, (block + 1) * step), noise), block * step);
      yield;
    }
    return share;
  } finally {
    seed.fill(0);
    key.free();
  }
}

/** @param body c0 of every block. @param shares of exactly a quorum. @throws CryptoError `SEAL_NOISE` when they are not shares of this sum */
export function openWithShares(bgv: Bgv, body: Uint8Array, shares: readonly Uint8Array[]): OpenedSum {
  const { threshold } = committeeOf(bgv);
  if (shares.length !== threshold)
    throw new CryptoError('SEAL_KEY', `${shares.length} shares of an opening, not ${threshold}`);
  const mask = new Uint8Array(bodyBytes(bgv.parameters));
  const step = bgv.polynomialBytes;
  for (let from = 0; from < mask.length; from += step) {
    const sum = new BigUint64Array(step / 8);
    for (const share of shares) addTo(dataRows(bgv), sum, readBlock(bgv, share, from));
    mask.set(writeResidues(sum), from);
  }
  return openSum(bgv, keyOfPlainModulus(bgv), { body, mask });
}

/** @throws CryptoError `SEAL_KEY` unless these are as many distinct members as the threshold */
export function checkQuorum(bgv: Bgv, quorum: Quorum): void {
  const { members, threshold } = committeeOf(bgv);
  const isRising = quorum.every((number, i) => number > (quorum[i - 1] ?? 0) && Number.isInteger(number));
  if (quorum.length !== threshold || !isRising || quorum.at(-1)! > members)
    throw new CryptoError('SEAL_KEY', `[${quorum.join(', ')}] is no quorum of ${threshold} of ${members}`);
}

function readBlock(bgv: Bgv, share: Uint8Array, from: number): BigUint64Array<ArrayBuffer> {
  return parseResidues(dataRows(bgv), 'a share of an opening', share.subarray(from, from + bgv.polynomialBytes));
}

/** t^-1 sigma. */
function scaledShare(bgv: Bgv, keyShare: Uint8Array, number: number, quorum: Quorum): Uint8Array<ArrayBuffer> {
  const { members, threshold } = committeeOf(bgv);
  const rows = dataRows(bgv);
  const pieces = piecesOf(members, threshold);
  const held = heldBy(number, pieces);
  const step = bgv.polynomialBytes;
  const share = checkedShare(bgv, keyShare);
  const answered = answeredBy(number, quorum, pieces).map((place) => held.indexOf(place) * step);
  const sum = sumOfPieces(
    bgv,
    answered.map((from) => share.subarray(from, from + step)),
  );
  const words = parseResidues(rows, 'a share of a key', sum);
  multiplyAdd(rows, words, (prime) => invert(bgv.plainModulus % prime, prime), new BigUint64Array(words.length));
  sum.fill(0);
  return writeResidues(words);
}

function smudgingSeed(
  bgv: Bgv,
  keyShare: Uint8Array,
  { number, quorum }: { readonly number: number; readonly quorum: Quorum },
  mask: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const { profile, plainBits, smudgingBits, blocks } = bgv.parameters;
  const about = utf8(JSON.stringify([profile.name, plainBits, smudgingBits, blocks, number, quorum]));
  const secret = sha256(keyShare);
  const seed = deriveKey(secret, DOMAINS.sealSmudging, sha256(mask), about);
  secret.fill(0);
  return seed;
}

/** e of one block, as residues of its coefficients. */
function smudging(bgv: Bgv, seed: Uint8Array, block: number): Uint8Array<ArrayBuffer> {
  const { dimension } = bgv.parameters.profile;
  const bits = BigInt(bgv.parameters.smudgingBits);
  const mask = (1n << (bits + 1n)) - 1n;
  const half = 1n << bits;
  const drawn = new BigUint64Array(dimension);
  keyStream(seed, block, 0).fill(new Uint8Array(drawn.buffer));
  const words = new BigUint64Array(bgv.dataPrimes.length * dimension);
  bgv.dataPrimes.forEach((prime, row) => {
    for (let i = 0; i < dimension; i++) {
      const noise = (drawn[i]! & mask) - half;
      words[row * dimension + i] = noise < 0n ? noise + prime : noise;
    }
  });
  drawn.fill(0n);
  return bytesOfWords(words);
}

/** The constant t, in transformed form: t in every slot. */
function keyOfPlainModulus(bgv: Bgv): Uint8Array<ArrayBuffer> {
  const { dimension } = bgv.parameters.profile;
  const words = new BigUint64Array(keyBytes(bgv) / 8);
  bgv.keyPrimes.forEach((prime, row) => words.fill(bgv.plainModulus % prime, row * dimension, (row + 1) * dimension));
  return bytesOfWords(words);
}
