/** Mode `words`: one pairwise mask over the whole vector for every neighbour (Bonawitz et al. 2017). */
import { addMasks, addToWords, removeMasks } from '@carapace/crypto';
import { checkLanes, laneCount } from './quantiser.ts';
import type { LaneFormat } from './quantiser.ts';
import { checkLength, openPayloads } from './vector-mask.ts';
import type { PayloadSum, VectorMask } from './vector-mask.ts';
import { packLanes, unpackLanes, wordCount } from './word-lanes.ts';
import type { WordLanes } from './word-lanes.ts';

export function wordMask(format: LaneFormat): VectorMask {
  const { laneBits, lanesPerWord } = format;
  const form: WordLanes = { count: laneCount(format), laneBits, lanesPerWord };
  const payloadBytes = 8 * wordCount(form);
  return {
    mode: 'words',
    payloadBytes,
    mask: (lanes, seeds) => {
      checkLanes(lanes, format);
      const words = packLanes(lanes, form);
      addMasks(words, seeds);
      return new Uint8Array(words.buffer);
    },
    // Every word is a word of the group.
    accepts: (payload) => payload.length === payloadBytes,
    sum: () => new WordSum(form),
    open: (payloads, left) => openPayloads(new WordSum(form), payloads, left),
  };
}

class WordSum implements PayloadSum {
  readonly #form: WordLanes;
  readonly #words: BigUint64Array<ArrayBuffer>;
  #inputs = 0;

  constructor(form: WordLanes) {
    this.#form = form;
    this.#words = new BigUint64Array(wordCount(form));
  }

  get inputs(): number {
    return this.#inputs;
  }

  add(payload: Uint8Array): boolean {
    checkLength(payload, this.#words.byteLength);
    addToWords(this.#words, payload);
    this.#inputs++;
    return true;
  }

  open(left: Parameters<PayloadSum['open']>[0]): Uint32Array | undefined {
    const words = this.#words.slice();
    removeMasks(words, left);
    return unpackLanes(words, this.#form);
  }
}
