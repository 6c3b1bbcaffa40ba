/** One round of a plan: its cohort, its quorum, the noise that is charged and the noise that is there. */
import { toNumber } from '@carapace/crypto';
import { AggregationError } from '../../errors.ts';
import { SHARES_LEAST_CLIENTS } from '../../shares/session.ts';
import { leastSurvivors } from '../../secagg/thresholds.ts';
import type { ClearUpdates, UserPrivacy } from '../../task.ts';
import { clearNoisePlan } from '../clear-noise.ts';
import { wrapBound } from '../mechanisms/distributed.ts';
import { roundChargeOf } from '../round-charge.ts';
import type { TaskCharge } from '../round-charge.ts';
import { largestCohort, noisePlan } from '../user-level.ts';
import type { HiddenNoise } from '../user-level.ts';
import { clearMessage, hidingMessage } from './messages.ts';
import type { UpdateMessage } from './messages.ts';
import type { PlanQuestion } from './question.ts';
import { repeatedRounds } from './releases.ts';
import type { Releases } from './releases.ts';

export interface RoundCohort {
  /** Clients that are selected; where coins decide, as many as are expected. */
  readonly selected: number;
  /** Survivors without whom nothing is opened; 0 where a round completes with nobody as well. */
  readonly quorum: number;
}

/** Noise on the sum of an update's values, as a session of that cohort has it. */
export interface RoundNoise {
  /** Deviation on each value of the sum of so many, in clips. */
  deviationOfSum(survivors: number): number;
  /** An update as long as the clip has this length in integers. */
  readonly unitsPerClip: number;
  /** Bound on the share of values that wrap when all agree and nobody drops out; 0 where nothing wraps. */
  readonly wrap: number;
}

export interface PlannedRound extends RoundCohort {
  readonly noiseMultiplier: string;
  readonly message: UpdateMessage;
  readonly noise: RoundNoise;
  /** As the ledger charges it. */
  readonly charge: TaskCharge;
  readonly releases: Releases;
}

export function cohortOf({ cohort, protection, rate }: PlanQuestion): RoundCohort {
  const selected = largestCohort(cohort);
  if (rate !== null) return { selected, quorum: 0 };
  const least = { clear: 1, secagg: leastSurvivors(selected), shares: SHARES_LEAST_CLIENTS }[protection];
  return { selected, quorum: Math.max(cohort.minimum, least) };
}

/** @throws AggregationError `MECHANISM_PARAMETERS`, `MECHANISM_MODULUS` or `SECAGG_PARAMETERS` when there can be no such round */
export function roundOf(question: PlanQuestion, noiseMultiplier: string): PlannedRound {
  const { noise, clip, colluding, parameters, placement, rate } = question;
  const privacy: UserPrivacy = { placement, noise, noiseMultiplier, clip, colluding, budgets: [] };
  const protection = protectionOf(question, privacy);
  const cohort = { ...question.cohort, ...(rate !== null && { selection: { kind: 'poisson' as const, rate } }) };
  // The very question that the coordinator asks when it reserves a round: at the task's own minimum, whatever more its masks need.
  const charge = roundChargeOf({ protection, cohort }, parameters);
  if (charge === null) throw new Error('a task with noise has a charge');
  const counts = cohortOf(question);
  return {
    ...counts,
    noiseMultiplier,
    ...(protection.kind === 'clear'
      ? { message: clearMessage(parameters), noise: clearNoise(protection, privacy, parameters) }
      : {
          message: hidingMessage(question, privacy, counts.selected),
          noise: hiddenNoise(protection, privacy, counts, parameters),
        }),
    charge,
    releases: repeatedRounds(charge),
  };
}

function protectionOf({ protection, bits }: PlanQuestion, privacy: UserPrivacy): ClearUpdates | HiddenNoise {
  return protection === 'clear' ? { kind: protection, privacy } : { kind: protection, bits, privacy };
}

function hiddenNoise(
  protection: HiddenNoise,
  privacy: UserPrivacy,
  { selected, quorum }: RoundCohort,
  parameters: number,
): RoundNoise {
  const plan = noisePlan(protection, privacy, { clients: selected, minimumSurvivors: quorum }, parameters);
  const share = Math.sqrt(toNumber(plan.localVariance)) / plan.unitsPerClip;
  return {
    // The coordinator's noise is all of those shares, whoever survives.
    deviationOfSum: (survivors) => share * Math.sqrt(privacy.placement === 'central' ? plan.floor : survivors),
    unitsPerClip: plan.unitsPerClip,
    wrap: wrapBound(plan),
  };
}

function clearNoise(protection: ClearUpdates, privacy: UserPrivacy, parameters: number): RoundNoise {
  const plan = clearNoisePlan(protection, parameters)!;
  const whole = Math.sqrt(toNumber(plan.variance)) / plan.unitsPerClip;
  return {
    deviationOfSum: (survivors) => whole * (privacy.placement === 'central' ? 1 : Math.sqrt(survivors)),
    unitsPerClip: plan.unitsPerClip,
    wrap: 0,
  };
}

/** What a search makes of settings that there cannot be. */
export function roundOrNull(question: PlanQuestion, noiseMultiplier: string): PlannedRound | null {
  try {
    return roundOf(question, noiseMultiplier);
  } catch (error) {
    if (isImpossible(error)) return null;
    throw error;
  }
}

export function isImpossible(error: unknown): error is AggregationError {
  return error instanceof AggregationError && IMPOSSIBLE.has(error.code);
}

const IMPOSSIBLE: ReadonlySet<string> = new Set(['MECHANISM_PARAMETERS', 'MECHANISM_MODULUS', 'SECAGG_PARAMETERS']);
