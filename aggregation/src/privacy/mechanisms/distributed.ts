/**
 * Distributed noise: every client adds a share to its integers before they are masked, so that nobody, the coordinator included, ever
 * has the sum without noise (Kairouz, Liu and Steinke 2021; Agarwal, Kairouz and Liu 2021). The shares of `floor` honest survivors make
 * up the promised noise; whoever else survives adds to it.
 *
 * A plan is in integer units and does not know the clip: when an adaptive clip moves, integers, noise and modulus stay what they are.
 */
import { discreteGaussian, skellam, toNumber } from '@carapace/crypto';
import type { IntegerNoise, Rational } from '@carapace/crypto';
import { AggregationError } from '../../errors.ts';
import { splitNoise } from './adaptive-clip.ts';
import { roundedNormSquared } from './conditional-rounding.ts';
import { totalVariationOf } from './description.ts';
import type { DescribedPart, MechanismDescription, NoiseKind } from './description.ts';
import { granularity, roundedNormPolynomials, wrapProbability } from './granularity.ts';
import { l1Bound } from './integer-norm.ts';
import { LONGEST_VECTOR } from './lattice/kernel.ts';
import { Memo } from '../numerics/memo.ts';
import { isAtLeast, product } from './rational-arithmetic.ts';
import { rotationWidth } from './rotation.ts';

export interface DistributedSettings {
  readonly noise: NoiseKind;
  /** Values of an update. */
  readonly dimension: number;
  /** Clients whose inputs may be in one sum, at most. */
  readonly clients: number;
  /** Honest survivors that every opened sum has at least: `minimumSurvivors` less the `colluding` of its session. */
  readonly floor: number;
  /** z: deviation of the noise of `floor` clients over the L2 sensitivity, bit of adaptive clipping included. */
  readonly noiseMultiplier: Rational;
  /** Width of a lane: sums are known modulo 2^bits. */
  readonly bits: number;
  /** Deviations of a coordinate of the sum that the modulus covers to either side: 4 wraps one coordinate in 16,000, 3 one in 370. */
  readonly deviations?: number;
  /** Probability of a rounding to be too long, and drawn again, at most. */
  readonly beta?: number;
  /** sigma_b: a lane for the bit of adaptive clipping, with noise of this deviation on the count. */
  readonly bitDeviation?: Rational;
}

export interface DistributedPlan {
  readonly noise: NoiseKind;
  readonly dimension: number;
  readonly clients: number;
  readonly floor: number;
  readonly bits: number;
  /** An update of the norm of the clip has this norm in integer units. */
  readonly unitsPerClip: number;
  /** Most that the squared norm of a rounded update may be; checked exactly. */
  readonly l2Squared: bigint;
  /** Variance of one client's noise on each value. */
  readonly localVariance: Rational;
  readonly clipBit: ClipBitPlan | null;
}

export interface ClipBitPlan {
  /** An update within the clip adds this, one that was clipped takes it away. */
  readonly unit: number;
  readonly localVariance: Rational;
}

const DEFAULT_DEVIATIONS = 4;
/** Below, one coordinate in 370 wraps and more. */
const LEAST_DEVIATIONS = 3;
/** e^(-1/2): then the slack of the squared norm is one deviation of it. */
export const DEFAULT_BETA: number = Math.exp(-0.5);
/** Least deviation of a share of discrete Gaussian noise: sums of narrower ones are no discrete Gaussian (tau is 10^-16 at 2, 10^-3 at 1). */
const LEAST_GAUSSIAN_SHARE = 2;
/** Variances that the samplers take; the wider ones take longer, for Skellam in proportion. */
const LEAST_SHARE = 1e-3;
const MOST_SHARE: Record<NoiseKind, number> = { skellam: 2 ** 32, 'discrete-gaussian': 2 ** 60 };
/** What rounding may add to the sensitivity: with twice as much, central noise of twice the deviation would do the same. */
const MOST_INFLATION = 2;
/** One lane: if it wrapped, the clip would jump. */
const BIT_DEVIATIONS = 8;
const FINEST_BIT = 1024;

/** @throws AggregationError `MECHANISM_PARAMETERS`, or `MECHANISM_MODULUS` when `bits` do not hold the sum */
export function planDistributed(settings: DistributedSettings): DistributedPlan {
  const { noise, dimension, clients, floor, bits } = settings;
  checkCounts(settings);
  const squared = multiplierSquared(settings);
  const unitsPerClip = unitsFor(settings, toNumber(squared));
  const l2Squared = BigInt(Math.floor(roundedNormSquared(unitsPerClip, dimension, settings.beta ?? DEFAULT_BETA)));
  const plan: DistributedPlan = {
    noise,
    dimension,
    clients,
    floor,
    bits,
    unitsPerClip,
    l2Squared,
    localVariance: product(squared, l2Squared, { numerator: 1n, denominator: BigInt(floor) }),
    clipBit: settings.bitDeviation === undefined ? null : bitPlan(settings, settings.bitDeviation),
  };
  checkDistributed(plan);
  return plan;
}

/**
 * What a client checks of a plan that it was sent, beside its own policy: that the parts fit together, and that the modulus holds the sum.
 * Its policy is `hasNoise(describeDistributed(plan), ...)`, and that `floor` is no more than the session's least survivors less those that
 * may collude; of the rest, privacy needs no more than that the client's own rounding and noise are those of the plan.
 * @throws AggregationError `MECHANISM_PARAMETERS` or `MECHANISM_MODULUS`
 */
export function checkDistributed(plan: DistributedPlan): void {
  checkCounts(plan);
  if (!(plan.unitsPerClip > 0 && plan.unitsPerClip <= 2 ** 30) || plan.l2Squared < 1n) {
    throw refused(`${plan.unitsPerClip} units for a clip, squared norm ${plan.l2Squared}`);
  }
  const inflation = Math.sqrt(Number(plan.l2Squared)) / plan.unitsPerClip;
  if (inflation < 1) throw refused(`a norm below the ${plan.unitsPerClip} units of the clip: no update would fit`);
  if (inflation > MOST_INFLATION) {
    throw overflow(
      `${plan.bits} bits are so coarse that rounding makes an update ${inflation.toFixed(1)} times as long`,
    );
  }
  const shares = [plan.localVariance, ...(plan.clipBit === null ? [] : [plan.clipBit.localVariance])];
  for (const variance of shares) checkShare(plan, variance);
  const deviations = 2 ** (plan.bits - 1) / Math.sqrt(sumVariance(plan));
  if (deviations < LEAST_DEVIATIONS * (1 - 1e-9)) {
    throw overflow(`${plan.bits} bits cover ${deviations.toFixed(2)} deviations of the sum: too many would wrap`);
  }
}

/** Values of a client's vector: those of the update, and the clip bit. */
export function laneCountOf({ dimension, clipBit }: DistributedPlan): number {
  return dimension + (clipBit === null ? 0 : 1);
}

/** Bound on the share of coordinates that wrap when all clients survive and all send the same. */
export function wrapBound(plan: DistributedPlan): number {
  const noise = { kind: plan.noise, variance: plan.clients * toNumber(plan.localVariance) };
  return wrapProbability(2 ** (plan.bits - 1), signalVariance(plan), noise);
}

export function describeDistributed(plan: DistributedPlan): MechanismDescription {
  const { noise, floor, clients, dimension, l2Squared, localVariance, clipBit } = plan;
  const parts: DescribedPart[] = [{ dimension, l2Squared, l1: l1Bound(l2Squared, dimension), localVariance }];
  if (clipBit !== null) {
    const unit = BigInt(clipBit.unit);
    parts.push({ dimension: 1, l2Squared: unit * unit, l1: unit, localVariance: clipBit.localVariance });
  }
  return {
    model: 'distributed',
    noise,
    floor,
    parts,
    // Asks for the samplers' tables, which take longer than all the rest: a planner that tries many plans asks for few.
    get totalVariation() {
      const { values, bit } = noisesOf(plan);
      return totalVariationOf(values, clients * dimension) + (bit === null ? 0 : totalVariationOf(bit, clients));
    },
  };
}

const NOISES = new Memo<IntegerNoise>(8);

/** Made once for each variance: a round makes its plan anew, and a table takes longer than all that is drawn from it. */
export function noiseOf(kind: NoiseKind, variance: Rational): IntegerNoise {
  const make = kind === 'skellam' ? skellam : discreteGaussian;
  return NOISES.get(`${kind} ${variance.numerator}/${variance.denominator}`, () => make(variance));
}

export function noisesOf({ noise, localVariance, clipBit }: DistributedPlan): {
  readonly values: IntegerNoise;
  readonly bit: IntegerNoise | null;
} {
  const bit = clipBit === null ? null : noiseOf(noise, clipBit.localVariance);
  return { values: noiseOf(noise, localVariance), bit };
}

function multiplierSquared({ noiseMultiplier, bitDeviation }: DistributedSettings): Rational {
  if (noiseMultiplier.numerator <= 0n) throw refused('a noise multiplier of 0 or less');
  return bitDeviation === undefined
    ? product(noiseMultiplier, noiseMultiplier)
    : splitNoise(noiseMultiplier, bitDeviation);
}

/**
 * As many units as the modulus holds: both bounds of the norm after rounding give a step, and the smaller one is right, for the
 * sensitivity is the smaller bound. No more than what leaves rounding a thousandth of the sensitivity: finer integers would be wider,
 * and noise on them slower, for nothing.
 */
function unitsFor(settings: DistributedSettings, squared: number): number {
  const { dimension, clients, floor, bits, deviations = DEFAULT_DEVIATIONS, beta = DEFAULT_BETA } = settings;
  if (!(deviations >= LEAST_DEVIATIONS && deviations <= 64)) {
    throw overflow(`${deviations} deviations, allowed are ${LEAST_DEVIATIONS} to 64`);
  }
  const spread = { clients, clip: 1, width: rotationWidth(dimension), bits, deviations };
  const all = (squared * clients) / floor;
  const steps = roundedNormPolynomials(dimension, beta).flatMap(({ constant, linear, quadratic }) => {
    const step = granularity(spread, { constant: all * constant, linear: all * linear, quadratic: all * quadratic });
    return step === undefined ? [] : [step];
  });
  if (steps.length === 0) throw overflow(`${bits} bits do not hold the rounding and the noise of ${clients} clients`);
  return Math.min(1 / Math.min(...steps), finestUnits(dimension, beta));
}

/** Units for which rounding adds a thousandth to the norm, and for beta = 0 a hundredth. */
function finestUnits(dimension: number, beta: number): number {
  return (beta === 0 ? 128 : 16) * Math.sqrt(dimension) + 1024;
}

/** As fine as the modulus holds: the count itself and its noise. */
function bitPlan({ clients, floor, bits }: DistributedSettings, bitDeviation: Rational): ClipBitPlan {
  const spread = clients + BIT_DEVIATIONS * 2 * toNumber(bitDeviation) * Math.sqrt(clients / floor);
  const unit = Math.min(FINEST_BIT, Math.floor((2 ** (bits - 1) - 1) / spread));
  if (unit < 1) throw overflow(`${bits} bits do not hold the clip bits of ${clients} clients`);
  // The bit less 1/2 is +-unit, so that a count is 2 unit wide.
  const deviation = product(bitDeviation, 2 * unit);
  return {
    unit,
    localVariance: product(deviation, deviation, { numerator: 1n, denominator: BigInt(floor) }),
  };
}

/** Signal, as if all updates were equal, and rounding, in squared integer units. */
function signalVariance({ clients, unitsPerClip, dimension }: DistributedPlan): number {
  return (clients * unitsPerClip) ** 2 / rotationWidth(dimension) + clients / 4;
}

function sumVariance(plan: DistributedPlan): number {
  return signalVariance(plan) + plan.clients * toNumber(plan.localVariance);
}

function checkShare({ noise, floor }: DistributedPlan, variance: Rational): void {
  const number = toNumber(variance);
  if (!(number >= LEAST_SHARE && number <= MOST_SHARE[noise])) {
    throw refused(`a share of noise of variance ${number}, allowed are ${LEAST_SHARE} to ${MOST_SHARE[noise]}`);
  }
  const least: Rational = { numerator: BigInt(LEAST_GAUSSIAN_SHARE ** 2), denominator: 1n };
  if (noise === 'discrete-gaussian' && floor > 1 && !isAtLeast(variance, least)) {
    throw overflow(
      `a share of discrete Gaussian noise of deviation ${Math.sqrt(number).toFixed(2)}, at least ` +
        `${LEAST_GAUSSIAN_SHARE} units are needed: take more bits, or Skellam noise`,
    );
  }
}

function checkCounts({ dimension, clients, floor, bits }: DistributedPlan | DistributedSettings): void {
  const isCount = (value: number, most: number): boolean => Number.isInteger(value) && value >= 1 && value <= most;
  if (!isCount(dimension, LONGEST_VECTOR)) throw refused(`${dimension} values, allowed are 1 to ${LONGEST_VECTOR}`);
  if (!isCount(clients, 2 ** 24)) throw refused(`${clients} clients`);
  if (!isCount(floor, clients)) throw refused(`a floor of ${floor} honest survivors of ${clients} clients`);
  if (!isCount(bits, 32)) throw refused(`${bits} bits, allowed are 1 to 32`);
}

function refused(why: string): AggregationError {
  return new AggregationError('MECHANISM_PARAMETERS', why);
}

function overflow(why: string): AggregationError {
  return new AggregationError('MECHANISM_MODULUS', why);
}
