/** One round of a plan: its cohort, its quorum, the noise that is charged and the noise that is there. */
import { AggregationError } from '../../errors.ts';
import { SHARES_LEAST_CLIENTS } from '../../shares/session.ts';
import { leastSurvivors } from '../../secagg/thresholds.ts';
import type { UserPrivacy } from '../../task.ts';
import type { PrivacyEvent } from '../events/event.ts';
import type { DistributedPlan } from '../mechanisms/distributed.ts';
import { eventOf, noisePlan, totalVariationOf } from '../user-level.ts';
import { hidingMessage } from './lanes.ts';
import type { HidingMessage } from './lanes.ts';
import { selectedOf } from './question.ts';
import type { PlanQuestion } from './question.ts';
import { repeatedRounds } from './releases.ts';
import type { Releases } from './releases.ts';

export interface RoundCohort {
  /** Clients that are selected; where coins decide, as many as are expected. */
  readonly selected: number;
  /** Clients that the lanes have room for. */
  readonly largest: number;
  /** Survivors without whom nothing is opened. */
  readonly quorum: number;
}

export interface PlannedRound extends RoundCohort, HidingMessage {
  readonly privacy: UserPrivacy;
  /** Noise as its session plans it, with the floor at the quorum. */
  readonly noise: DistributedPlan;
  /** As the ledger charges it. */
  readonly releases: Releases;
}

/** A cohort that comes by coins is larger than expected by so many deviations once in 3.5 million rounds. */
const COHORT_DEVIATIONS = 5;

export function cohortOf({ cohort, population, selection, protection }: PlanQuestion): RoundCohort {
  const selected = selectedOf(cohort);
  const spread = selection === 'poisson' ? Math.ceil(COHORT_DEVIATIONS * Math.sqrt(selected)) : 0;
  const largest = Math.min(population ?? Infinity, selected + spread);
  const masks = protection === 'secagg' ? leastSurvivors(selected) : SHARES_LEAST_CLIENTS;
  return { selected, largest: Math.max(selected, largest), quorum: Math.max(cohort.minimum, masks) };
}

/** @throws AggregationError `MECHANISM_PARAMETERS`, `MECHANISM_MODULUS` or `SECAGG_PARAMETERS` when there can be no such round */
export function roundOf(question: PlanQuestion, noiseMultiplier: string): PlannedRound {
  const { bits, noise, clip, colluding, parameters, cohort } = question;
  const { largest, ...counts } = cohortOf(question);
  const privacy: UserPrivacy = { noise, noiseMultiplier, clip, colluding, budgets: [] };
  const planAt = (minimumSurvivors: number): DistributedPlan =>
    noisePlan({ bits }, privacy, { clients: largest, minimumSurvivors }, parameters);
  // A task is charged at its own minimum, whatever more its masks need: as `planOfTask`.
  const charged = planAt(cohort.minimum);
  const event = eventOf(charged);
  const sampled = sampledEvent(event, shareOf(question));
  return {
    ...counts,
    ...hidingMessage(question, privacy, largest),
    largest,
    privacy,
    noise: counts.quorum === cohort.minimum ? charged : planAt(counts.quorum),
    releases: repeatedRounds({ event, sampled, totalVariation: () => totalVariationOf(charged) }),
  };
}

/** To whoever does not know who came. */
function sampledEvent(event: PrivacyEvent, probability: number): PrivacyEvent {
  if (probability === 1) return event;
  if (event.kind !== 'skellam-vector' && event.kind !== 'distributed-discrete-gaussian')
    throw new Error(`noise that clients share is charged as ${event.kind}`);
  return { kind: 'poisson', probability, event };
}

/** Probability to be in a round, as far as nobody sees who is. */
function shareOf({ selection, population, cohort }: PlanQuestion): number {
  return selection === 'public' || population === null ? 1 : Math.min(1, selectedOf(cohort) / population);
}

/** What a search makes of settings that there cannot be. */
export function roundOrNull(question: PlanQuestion, noiseMultiplier: string): PlannedRound | null {
  try {
    return roundOf(question, noiseMultiplier);
  } catch (error) {
    if (error instanceof AggregationError && IMPOSSIBLE.has(error.code)) return null;
    throw error;
  }
}

const IMPOSSIBLE: ReadonlySet<string> = new Set(['MECHANISM_PARAMETERS', 'MECHANISM_MODULUS', 'SECAGG_PARAMETERS']);
