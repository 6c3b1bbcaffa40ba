/**
 * The words that are shared: a client's lanes, and after them a word of 1. Where sums can fill their lanes, random words would pass for
 * a sum; the last word then still says how many inputs are in it, and passes by chance once in 2^64. It finds shares that do not belong
 * together and a set that is not the one that was added up; whoever wants to add a wrong vector adds a right 1.
 */
import { addToWords, packLanes } from '@carapace/crypto';
import { unpackLanes, wordCount } from '../secagg/word-lanes.ts';
import type { WordLanes } from '../secagg/word-lanes.ts';

type Words = BigUint64Array<ArrayBuffer>;

export function checkedWordCount(form: WordLanes): number {
  return wordCount(form) + 1;
}

export function checkedWords(lanes: Uint32Array, form: WordLanes): Words {
  const words = new BigUint64Array(checkedWordCount(form));
  words.set(packLanes(lanes, form));
  words[words.length - 1] = 1n;
  return words;
}

export class CheckedSum {
  readonly #form: WordLanes;
  readonly #words: Words;

  constructor(form: WordLanes) {
    this.#form = form;
    this.#words = new BigUint64Array(checkedWordCount(form));
  }

  /** @throws CryptoError `ENCODE_RANGE` when it has not as many bytes as the sum */
  add(share: Uint8Array): void {
    addToWords(this.#words, share);
  }

  /** The lane sums of so many inputs, or undefined when this is none. */
  open(inputs: number): Uint32Array | undefined {
    if (this.#words.at(-1) !== BigInt(inputs)) return undefined;
    return unpackLanes(this.#words.slice(0, -1), this.#form);
  }
}
