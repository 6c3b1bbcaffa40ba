/**
 * Words of a polynomial over several primes, prime after prime, as in SEAL: arithmetic slot by slot. On BigInt: it is for the few
 * polynomials of a key, once a round; its time depends on what it computes, so it is for machines of their owner.
 */
import { CryptoError } from '../../errors.ts';
import { keyStream, publicKeyStream } from '../../key-stream.ts';
import type { KeyStream } from '../../key-stream.ts';
import { bytesOfWords, wordsOf } from '../bytes-of.ts';

export interface Rows {
  readonly primes: readonly bigint[];
  /** Words of one prime. */
  readonly dimension: number;
}

type Words = BigUint64Array<ArrayBuffer>;

/** @throws CryptoError `SEAL_KEY` unless every word is below its prime */
export function parseResidues(rows: Rows, what: string, bytes: Uint8Array): Words {
  const length = 8 * rows.primes.length * rows.dimension;
  if (bytes.length !== length) throw new CryptoError('SEAL_KEY', `${what} of ${bytes.length} bytes, not ${length}`);
  const words = wordsOf(bytes);
  eachRow(rows, (prime, from, to) => {
    for (let i = from; i < to; i++) {
      if (words[i]! >= prime) throw new CryptoError('SEAL_KEY', `${what} has a residue out of range`);
    }
  });
  return words;
}

export function writeResidues(words: Words): Uint8Array<ArrayBuffer> {
  return bytesOfWords(words);
}

/** `to` := to + from. */
export function addTo(rows: Rows, to: Words, from: Words): void {
  eachRow(rows, (prime, start, end) => {
    for (let i = start; i < end; i++) {
      const sum = to[i]! + from[i]!;
      to[i] = sum >= prime ? sum - prime : sum;
    }
  });
}

/** `to` := to * by + plus, slot by slot. */
export function multiplyAdd(rows: Rows, to: Words, by: (prime: bigint) => bigint, plus: Words): void {
  eachRow(rows, (prime, start, end) => {
    const factor = by(prime);
    for (let i = start; i < end; i++) to[i] = (to[i]! * factor + plus[i]!) % prime;
  });
}

/** A factor of its own for every slot: `to` := to * by + plus. */
export function multiplyAddEach(rows: Rows, to: Words, by: Words, plus: Words): void {
  eachRow(rows, (prime, start, end) => {
    for (let i = start; i < end; i++) to[i] = (to[i]! * by[i]! + plus[i]!) % prime;
  });
}

export function difference(rows: Rows, a: Words, b: Words): Words {
  const words = new BigUint64Array(a.length);
  eachRow(rows, (prime, start, end) => {
    for (let i = start; i < end; i++) words[i] = a[i]! >= b[i]! ? a[i]! - b[i]! : a[i]! + prime - b[i]!;
  });
  return words;
}

/** Uniform residues of a key stream, by rejection. @param minor tells polynomials of one key apart */
export function uniformResidues(rows: Rows, key: Uint8Array, minor: number, visibility: 'secret' | 'public'): Words {
  const open = visibility === 'secret' ? keyStream : publicKeyStream;
  const words = new BigUint64Array(rows.primes.length * rows.dimension);
  let row = 0;
  eachRow(rows, (prime, start, end) => {
    fillUniform(words.subarray(start, end), prime, open(key, row++, minor));
  });
  return words;
}

function fillUniform(words: Words, prime: bigint, stream: KeyStream): void {
  const mask = (1n << BigInt(prime.toString(2).length)) - 1n;
  const drawn = new BigUint64Array(1024);
  for (let at = 0; at < words.length;) {
    stream.fill(new Uint8Array(drawn.buffer));
    for (let i = 0; i < drawn.length && at < words.length; i++) {
      const word = drawn[i]! & mask;
      if (word < prime) words[at++] = word;
    }
  }
  drawn.fill(0n);
}

function eachRow({ primes, dimension }: Rows, work: (prime: bigint, start: number, end: number) => void): void {
  primes.forEach((prime, row) => work(prime, row * dimension, (row + 1) * dimension));
}
