/** The dominating pair of an event under a relation, in both directions, or nothing where none is known: then the event is refused. */
import { bandedSensitivitySquared, squareRootSensitivitySquared } from '../sensitivity/matrix-factorisation.ts';
import { treeSensitivitySquared } from '../sensitivity/tree.ts';
import type {
  MatrixFactorisation,
  PrivacyEvent,
  Relation,
  Sampleable,
  Tree,
  TruncatedPoisson,
} from '../events/event.ts';
import { droppedAnswerPairs, epsilonDeltaPair, replacedAnswerPair } from './answers-pair.ts';
import { Curve } from './curve.ts';
import { discreteGaussianNoise, discreteLaplaceNoise, skellamNoise } from './integer-noise.ts';
import { integerPair } from './integer-pair.ts';
import { laplacePair } from './laplace-pair.ts';
import { atomPair, curvePair } from './loss-pair.ts';
import type { LossPair } from './loss-pair.ts';
import { GAUSSIAN_NOISE } from './noise.ts';
import { addition, coin, exchange, plainShift, removal } from './shift-mixture.ts';
import type { Shift, ShiftMixture } from './shift-mixture.ts';
import { truncatedPair, truncation } from './truncated-poisson.ts';
import { withoutReplacementPair } from './without-replacement.ts';

export interface Directions {
  /** P has the person. */
  readonly remove: LossPair;
  /** Q has the person; the same object where the two do not differ. */
  readonly add: LossPair;
}

/** Distance, in units of C, that is equivalent to one Gaussian release of all; nothing for what is not one. */
export function gaussianSensitivity(event: PrivacyEvent, relation: Relation): number | undefined {
  switch (event.kind) {
    case 'gaussian':
      return relation === 'replace-one' ? 2 : 1;
    case 'tree':
    case 'matrix-factorisation':
      // Where a person may leave the rounds' schedule as well, add-or-remove means the same as zeroing out: rounds are not persons.
      return Math.sqrt(linearSensitivitySquared(event)) * (relation === 'replace-one' ? 2 : 1);
    default:
      return undefined;
  }
}

function linearSensitivitySquared(event: Tree | MatrixFactorisation): number {
  const { rounds, participations, separation } = event;
  if (event.kind === 'tree') return treeSensitivitySquared(rounds, participations, separation);
  if (event.strategy === 'banded') {
    return bandedSensitivitySquared(rounds, participations, separation, event.columnNorm);
  }
  return squareRootSensitivitySquared(rounds, participations, separation);
}

export function dominatingPairs(event: PrivacyEvent, relation: Relation): Directions | undefined {
  switch (event.kind) {
    case 'gaussian':
    case 'tree':
    case 'matrix-factorisation': {
      const distance = gaussianSensitivity(event, relation)!;
      return both(gaussianPair(event.noiseMultiplier, plainShift(distance)));
    }
    case 'laplace':
    case 'discrete-laplace':
    case 'discrete-gaussian':
    case 'skellam':
      return additive(event, mixturesOf(1, sensitivityOf(event), relation));
    case 'poisson':
      return additive(event.event, mixturesOf(event.probability, sensitivityOf(event.event), relation));
    case 'truncated-poisson':
      return truncatedPairs(event, relation);
    case 'without-replacement':
      // With one person more or less the share changes with the input: nothing is known that composes.
      if (relation === 'add-or-remove') return undefined;
      return both(withoutReplacementPair(event.sample / event.population, event.noiseMultiplier / 2));
    case 'mixture-of-gaussians': {
      if (relation === 'replace-one') return undefined;
      const sizes = event.sensitivities.map((centre, i) => ({ centre, weight: event.probabilities[i]! }));
      return directed(sizes, (mixture) => gaussianPair(event.deviation, mixture));
    }
    case 'epsilon-delta':
      return both(epsilonDeltaPair(event.epsilon, event.delta));
    case 'randomised-response':
      if (relation === 'replace-one') return both(replacedAnswerPair(event.noise, event.buckets));
      // Who is not there gives no answer at all.
      return relation === 'zero-out' ? droppedAnswerPairs(event.noise, event.buckets) : undefined;
    case 'skellam-vector':
    case 'distributed-discrete-gaussian':
    case 'zcdp':
    case 'bounded-range':
      return undefined;
  }
}

function both(pair: LossPair): Directions {
  return { remove: pair, add: pair };
}

interface Mixtures {
  readonly remove: ShiftMixture;
  readonly add: ShiftMixture;
}

/** One coin of that probability; 1 is none. */
function mixturesOf(probability: number, sensitivity: number, relation: Relation): Mixtures {
  if (relation === 'replace-one') {
    const mixture = probability === 1 ? plainShift(2 * sensitivity) : exchange(probability, sensitivity, sensitivity);
    return { remove: mixture, add: mixture };
  }
  if (probability === 1) {
    const mixture = plainShift(sensitivity);
    return { remove: mixture, add: mixture };
  }
  const sizes = coin(probability, sensitivity);
  return { remove: removal(sizes), add: addition(sizes) };
}

function additive(event: Sampleable, { remove, add }: Mixtures): Directions | undefined {
  const pairOf = additivePair(event, span({ remove, add }));
  if (pairOf === undefined) return undefined;
  const pair = pairOf(remove);
  return { remove: pair, add: remove === add ? pair : pairOf(add) };
}

function additivePair(event: Sampleable, reach: number): ((mixture: ShiftMixture) => LossPair) | undefined {
  switch (event.kind) {
    case 'gaussian':
      return (mixture) => gaussianPair(event.noiseMultiplier, mixture);
    case 'laplace':
      return (mixture) => laplacePair(event.scale, mixture);
    case 'discrete-laplace':
      return (mixture) => integerPair(discreteLaplaceNoise(event.scale, reach), mixture);
    case 'discrete-gaussian':
      return (mixture) => integerPair(discreteGaussianNoise(event.variance, reach), mixture);
    case 'skellam':
      return (mixture) => integerPair(skellamNoise(event.variance, reach), mixture);
    case 'skellam-vector':
    case 'distributed-discrete-gaussian':
      return undefined;
  }
}

function sensitivityOf(event: Sampleable): number {
  return 'sensitivity' in event ? event.sensitivity : 1;
}

/** Twice the farthest centre: how far an output may lie from where its probability is looked up. */
function span({ remove, add }: Mixtures): number {
  const centres = [remove, add].flatMap(({ p, q }) => [...p, ...q]).map(({ centre }) => Math.abs(centre));
  return 2 * Math.max(...centres);
}

function gaussianPair(scale: number, mixture: ShiftMixture): LossPair {
  return curvePair([new Curve(GAUSSIAN_NOISE, scale, mixture)]);
}

function directed(sizes: readonly Shift[], pairOf: (mixture: ShiftMixture) => LossPair): Directions {
  if (sizes.every(({ centre, weight }) => centre === 0 || weight === 0)) return both(atomPair([0], [1]));
  return { remove: pairOf(removal(sizes)), add: pairOf(addition(sizes)) };
}

function truncatedPairs(event: TruncatedPoisson, relation: Relation): Directions {
  const { cut, within } = truncation(event);
  const whole = mixturesOf(event.probability, 1, relation);
  const full: Mixtures = {
    'add-or-remove': { remove: removal(coin(within, 2)), add: addition(coin(within, 2)) },
    'zero-out': { remove: exchange(within, 2, 1), add: exchange(within, 1, 2) },
    'replace-one': { remove: exchange(within, 2, 2), add: exchange(within, 2, 2) },
  }[relation];
  const pairOf = (direction: keyof Mixtures): LossPair =>
    truncatedPair(event.noiseMultiplier, cut, { whole: whole[direction], cut: full[direction] });
  return { remove: pairOf('remove'), add: pairOf('add') };
}
