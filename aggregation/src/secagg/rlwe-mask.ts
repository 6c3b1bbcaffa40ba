/**
 * Mode `rlwe`: the vector under a fresh key of the RLWE mask, and that key, raised by its bound and packed into words, under
 * the pairwise masks (ACORN: Bell et al., USENIX Security 2023, section 3). What a client computes for each neighbour, and the
 * coordinator for each that dropped out, is as long as a key, whatever the length of the vector.
 */
import { addMasks, addToWords, CryptoError, removeMasks, rlweMask, rlweParameters, RLWE_RINGS } from '@carapace/crypto';
import type { MaskedSum, MaskedVector, RandomSource, RlweMask, RlweParameters, RlweRingName } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { laneCount } from './quantiser.ts';
import type { LaneFormat } from './quantiser.ts';
import { checkLength, openPayloads } from './vector-mask.ts';
import type { PayloadSum, SignedSeed, VectorMask } from './vector-mask.ts';
import { packLanes, unpackLanes, wordCount } from './word-lanes.ts';
import type { WordLanes } from './word-lanes.ts';

/** @throws AggregationError `SECAGG_PARAMETERS` when no ring holds the sums */
export function rlweVectorMask(format: LaneFormat, context: Uint8Array): VectorMask {
  const parameters = rlweParametersFor(format);
  const form = keyLanes(parameters);
  const mask = rlweMask(parameters, context);
  const payloadBytes = parameters.maskedBytes + 8 * wordCount(form);
  const newSum = (): RlweSum => new RlweSum(mask, form, payloadBytes);
  return {
    mode: 'rlwe',
    payloadBytes,
    mask: (lanes, seeds, random) => maskBoth(mask, form, lanes, seeds, random),
    accepts: (payload) =>
      payload.length === payloadBytes && isAccepted(() => mask.check(payload.subarray(0, parameters.maskedBytes))),
    sum: newSum,
    open: (payloads, left) => openPayloads(newSum(), payloads, left),
  };
}

/**
 * The ring in which a payload is shortest; among equals the one listed first. All of them have passed the same gate.
 * @throws AggregationError `SECAGG_PARAMETERS`
 */
export function rlweParametersFor(format: LaneFormat): RlweParameters {
  let best: RlweParameters | undefined;
  for (const ring of Object.keys(RLWE_RINGS) as RlweRingName[]) {
    const parameters = parametersIn(ring, format);
    if (parameters !== undefined && (best === undefined || lengthOf(parameters) < lengthOf(best))) best = parameters;
  }
  if (best !== undefined) return best;
  throw new AggregationError(
    'SECAGG_PARAMETERS',
    `sums of ${format.clients} values up to ${format.laneMax} fit no ring of the mask mode rlwe`,
  );
}

function parametersIn(ring: RlweRingName, format: LaneFormat): RlweParameters | undefined {
  try {
    const { clients, laneMax: maxValue } = format;
    return rlweParameters({ ring, clients, maxValue, length: laneCount(format) });
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'RLWE_PARAMETERS') return undefined;
    throw error;
  }
}

function lengthOf(parameters: RlweParameters): number {
  return parameters.maskedBytes + 8 * wordCount(keyLanes(parameters));
}

/** A raised coefficient is at most twice the bound, and the lanes hold the sum of all clients. */
function keyLanes({ ring, clients }: RlweParameters): WordLanes {
  const needed = Math.floor(Math.log2(2 * ring.secret.bound * clients)) + 1;
  const lanesPerWord = Math.floor(64 / needed);
  return { count: ring.dimension, lanesPerWord, laneBits: Math.min(32, Math.floor(64 / lanesPerWord)) };
}

function maskBoth(
  mask: RlweMask,
  form: WordLanes,
  lanes: Uint32Array,
  seeds: readonly SignedSeed[],
  random: RandomSource,
): Uint8Array<ArrayBuffer> {
  const vector = maskVector(mask, lanes, random, 8 * wordCount(form));
  const { bound } = mask.parameters.ring.secret;
  const raised = new Uint32Array(vector.key.length);
  for (let i = 0; i < raised.length; i++) raised[i] = vector.key[i]! + bound;
  const words = packLanes(raised, form);
  vector.forgetKey();
  raised.fill(0);
  addMasks(words, seeds);
  const payload = new Uint8Array(vector.masked.buffer);
  payload.set(new Uint8Array(words.buffer), vector.masked.length);
  return payload;
}

function maskVector(mask: RlweMask, lanes: Uint32Array, random: RandomSource, room: number): MaskedVector {
  try {
    return mask.mask(lanes, random, room);
  } catch (error) {
    if (!(error instanceof CryptoError && error.code === 'RLWE_VECTOR')) throw error;
    const ofLength = lanes.length !== mask.parameters.length;
    throw new AggregationError(ofLength ? 'VECTOR_LENGTH' : 'QUANTISE_RANGE', error.message, { cause: error });
  }
}

class RlweSum implements PayloadSum {
  readonly #mask: RlweMask;
  readonly #form: WordLanes;
  readonly #payloadBytes: number;
  readonly #vectors: MaskedSum;
  readonly #keys: BigUint64Array<ArrayBuffer>;

  constructor(mask: RlweMask, form: WordLanes, payloadBytes: number) {
    this.#mask = mask;
    this.#form = form;
    this.#payloadBytes = payloadBytes;
    this.#vectors = mask.sum();
    this.#keys = new BigUint64Array(wordCount(form));
  }

  get inputs(): number {
    return this.#vectors.clients;
  }

  add(payload: Uint8Array): boolean {
    checkLength(payload, this.#payloadBytes);
    const { maskedBytes } = this.#mask.parameters;
    if (!isAccepted(() => this.#vectors.add(payload.subarray(0, maskedBytes)))) return false;
    addToWords(this.#keys, payload.subarray(maskedBytes));
    return true;
  }

  open(left: readonly SignedSeed[]): Uint32Array | undefined {
    const keySum = this.#openKeys(left);
    if (keySum === undefined) return undefined;
    try {
      return this.#mask.unmask(this.#vectors, keySum);
    } catch (error) {
      if (error instanceof CryptoError && error.code === 'RLWE_UNMASK') return undefined;
      throw error;
    }
  }

  #openKeys(left: readonly SignedSeed[]): Int32Array | undefined {
    const words = this.#keys.slice();
    removeMasks(words, left);
    const raised = unpackLanes(words, this.#form);
    const offset = this.inputs * this.#mask.parameters.ring.secret.bound;
    return raised && Int32Array.from(raised, (coefficient) => coefficient - offset);
  }
}

/** Whether it went through without a masked vector being refused for its form. */
function isAccepted(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof CryptoError && error.code.startsWith('DECODE_')) return false;
    throw error;
  }
}
