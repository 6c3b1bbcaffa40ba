/**
 * Real updates as integers that can be summed under a mask: clip, scale by the sample weight, round without bias. The
 * weight travels in lanes of its own, written in base 2^bits, so that it is as hidden as the values.
 */
import type { RandomSource } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { roundAll } from './rounding/rounding.ts';

export interface Quantiser {
  /** Values are clipped to [-clip, clip]. */
  readonly clip: number;
  /** Bits of one quantised value, 2 to 24. */
  readonly bits: number;
  /** Largest sample weight; a client of weight w contributes w / maxWeight of its clipped update. */
  readonly maxWeight: number;
}

/** Where the sum of a whole cohort lies: each lane is wide enough that it cannot overflow. */
export interface LaneFormat {
  /** Number of values, then `weightLanes` limbs of the weight, least first. */
  readonly values: number;
  readonly weightLanes: number;
  /** Largest integer of one client in one lane: 2^bits - 1. */
  readonly laneMax: number;
  /** Width of a lane in the packed words, including the headroom for the sum. */
  readonly laneBits: number;
  readonly lanesPerWord: number;
  readonly clients: number;
}

export interface DequantisedMean {
  /** Weighted mean of the clipped updates. */
  readonly mean: Float64Array;
  /** Sum of the sample weights. */
  readonly weight: number;
}

export interface QuantiserError {
  /** No element of the mean is further away than this from the mean of the clipped updates. */
  readonly worst: number;
  /** Upper bound of the standard deviation of an element. */
  readonly deviation: number;
}

/** @throws AggregationError `SECAGG_PARAMETERS` when the sum of `clients` contributions could overflow any lane */
export function laneFormat(quantiser: Quantiser, values: number, clients: number): LaneFormat {
  checkQuantiser(quantiser);
  if (!Number.isInteger(values) || values < 1 || values > 2 ** 31) throw refused(`${values} values`);
  const laneMax = 2 ** quantiser.bits - 1;
  const needed = bitLength(clients * laneMax);
  if (needed > 32)
    throw refused(`a sum of ${clients} values of ${quantiser.bits} bits takes ${needed} bits, at most 32`);
  const lanesPerWord = Math.floor(64 / needed);
  return {
    values,
    weightLanes: Math.ceil(bitLength(quantiser.maxWeight) / quantiser.bits),
    laneMax,
    // All of the word: what a sum may not reach is where an overstepping client shows.
    laneBits: Math.min(32, Math.floor(64 / lanesPerWord)),
    lanesPerWord,
    clients,
  };
}

export function laneCount(format: LaneFormat): number {
  return format.values + format.weightLanes;
}

/** @throws AggregationError `VECTOR_LENGTH` or `QUANTISE_RANGE` when these are not one client's lanes */
export function checkLanes(lanes: Uint32Array, format: LaneFormat): void {
  const count = laneCount(format);
  if (lanes.length !== count) throw new AggregationError('VECTOR_LENGTH', `${lanes.length} lanes, not ${count}`);
  let used = 0;
  for (let i = 0; i < lanes.length; i++) used |= lanes[i]!;
  // The largest integer of a lane has all of its bits set.
  if ((used & ~format.laneMax) !== 0) {
    throw new AggregationError('QUANTISE_RANGE', `a lane holds more than ${format.laneMax}`);
  }
}

/**
 * One client's integers. Rounding goes up with the probability of the fraction, to 2^-32: the expectation is the value.
 * @throws AggregationError `QUANTISE_NONFINITE`, `QUANTISE_WEIGHT` or `VECTOR_LENGTH`
 */
export function quantise(
  update: Float32Array,
  weight: number,
  quantiser: Quantiser,
  format: LaneFormat,
  random: RandomSource,
): Uint32Array {
  if (update.length !== format.values) {
    throw new AggregationError('VECTOR_LENGTH', `${update.length} values, the session has ${format.values}`);
  }
  if (!Number.isInteger(weight) || weight < 1 || weight > quantiser.maxWeight) {
    throw new AggregationError('QUANTISE_WEIGHT', `a weight of ${weight}, allowed are 1 to ${quantiser.maxWeight}`);
  }
  const lanes = new Uint32Array(laneCount(format));
  const rounding = { share: weight / quantiser.maxWeight, clip: quantiser.clip, laneMax: format.laneMax };
  if (!roundAll(lanes, update, rounding, random)) {
    throw new AggregationError('QUANTISE_NONFINITE', 'the update holds NaN or an infinity');
  }
  writeWeight(lanes, weight, format);
  return lanes;
}

/**
 * The mean behind the summed lanes of `survivors` clients, or undefined when a lane holds what no such sum can hold:
 * somebody added integers outside of their lane.
 */
export function dequantise(
  sums: Uint32Array,
  survivors: number,
  quantiser: Quantiser,
  format: LaneFormat,
): DequantisedMean | undefined {
  const most = survivors * format.laneMax;
  if (sums.length !== laneCount(format) || sums.some((sum) => sum > most)) return undefined;
  const weight = readWeight(sums, format);
  if (weight < survivors || weight > survivors * quantiser.maxWeight) return undefined;
  const factor = quantiser.maxWeight / weight;
  const scale = stepOf(quantiser) * factor;
  const offset = survivors * quantiser.clip * factor;
  const mean = Float64Array.from(sums.subarray(0, format.values), (sum) => sum * scale - offset);
  return { mean, weight };
}

/** What quantisation costs at most, clipping apart. A client moves each sum by less than one step. */
export function quantiserError(quantiser: Quantiser, survivors: number, weight: number): QuantiserError {
  const step = (stepOf(quantiser) * quantiser.maxWeight) / weight;
  return { worst: survivors * step, deviation: (Math.sqrt(survivors) * step) / 2 };
}

function stepOf(quantiser: Quantiser): number {
  return (2 * quantiser.clip) / (2 ** quantiser.bits - 1);
}

function writeWeight(lanes: Uint32Array, weight: number, format: LaneFormat): void {
  let rest = weight;
  for (let i = format.values; i < lanes.length; i++) {
    lanes[i] = rest % (format.laneMax + 1);
    rest = Math.floor(rest / (format.laneMax + 1));
  }
}

function readWeight(sums: Uint32Array, format: LaneFormat): number {
  return sums.subarray(format.values).reduceRight((weight, limb) => weight * (format.laneMax + 1) + limb, 0);
}

function checkQuantiser({ clip, bits, maxWeight }: Quantiser): void {
  if (!Number.isFinite(clip) || clip < 1e-30 || clip > 1e30) throw refused(`a clip of ${clip}`);
  if (!Number.isInteger(bits) || bits < 2 || bits > 24) throw refused(`${bits} bits, allowed are 2 to 24`);
  if (!Number.isInteger(maxWeight) || maxWeight < 1 || maxWeight > 2 ** 32 - 1) {
    throw refused(`a largest weight of ${maxWeight}`);
  }
}

function bitLength(value: number): number {
  return Math.floor(Math.log2(value)) + 1;
}

function refused(why: string): AggregationError {
  return new AggregationError('SECAGG_PARAMETERS', why);
}
