/** A plan with round figures, and one round in each of its states and in each of their steps. */
import { parseClientId, parseDigest } from '@carapace/aggregation';
import type { ClientId, Digest } from '@carapace/aggregation';
import { seededRandom } from '@carapace/crypto/testing';
import { phaseEnd } from '../../src/domain/round.ts';
import type {
  Candidate,
  Instant,
  MessageStep,
  ProtocolStep,
  RoundEvent,
  RoundPlan,
  RoundState,
} from '../../src/domain/round.ts';

export const PLAN: RoundPlan = {
  target: 4,
  minimum: 2,
  cohort: 6,
  perSite: null,
  selectionMs: 1_000,
  reportMs: 10_000,
  graceMs: 2_000,
  workMs: 5_000,
  charged: false,
  protocol: null,
};

/** The same with a protocol of secure aggregation around the updates. */
export const SECURE: RoundPlan = { ...PLAN, protocol: { by: 'cohort', stepMs: 3_000 } };

/** The same with secret coins. */
export const POISSON: RoundPlan = { ...PLAN, minimum: 1, cohort: 4, poisson: 0.5 };

/** The same with a second aggregator. */
export const SHARED: RoundPlan = { ...PLAN, protocol: { by: 'aggregator', stepMs: 3_000 } };

export const WEIGHTS: Digest = parseDigest('ab'.repeat(32));

export const STATES: { readonly [Kind in RoundState['kind']]: Extract<RoundState, { kind: Kind }> } = {
  open: { kind: 'open', plan: PLAN, openedAt: 0, selectBy: 1_000 },
  agreeing: { kind: 'agreeing', plan: SECURE, step: 'advertise-keys', selected: 6, startedAt: 1_000, deadline: 4_000 },
  collecting: { kind: 'collecting', plan: PLAN, selected: 6, startedAt: 1_000, deadline: 11_000, closeBy: 13_000 },
  unmasking: { kind: 'unmasking', plan: SECURE, step: 'consistency', reported: 4, since: 13_000, deadline: 16_000 },
  aggregating: { kind: 'aggregating', plan: PLAN, reported: 4, since: 13_000, giveUpAt: 18_000 },
  evaluating: { kind: 'evaluating', plan: PLAN, reported: 4, weights: WEIGHTS, since: 18_000, giveUpAt: 23_000 },
  completed: { kind: 'completed', reported: 4, weights: WEIGHTS, at: 23_000 },
  abandoned: { kind: 'abandoned', reason: 'quorum-not-met', during: 'collecting', at: 13_000 },
};

/** Where a round can be: a state, or a step of one that has steps. */
export type Place = Exclude<RoundState['kind'], 'agreeing' | 'unmasking'> | MessageStep;

export function placeOf(state: RoundState): Place {
  return state.kind === 'agreeing' || state.kind === 'unmasking' ? state.step : state.kind;
}

/** In the order in which a round comes by. */
export const PLACES: Readonly<Record<Place, RoundState>> = {
  open: STATES.open,
  'advertise-keys': STATES.agreeing,
  'share-keys': { ...STATES.agreeing, step: 'share-keys', deadline: 7_000 },
  collecting: STATES.collecting,
  consistency: STATES.unmasking,
  unmask: { ...STATES.unmasking, step: 'unmask', deadline: 19_000 },
  aggregating: STATES.aggregating,
  evaluating: STATES.evaluating,
  completed: STATES.completed,
  abandoned: STATES.abandoned,
};

/** The moments of a state at which something is decided. */
export interface Moments {
  readonly early: Instant;
  readonly deadline: Instant;
  readonly end: Instant;
}

export function momentsOf(state: RoundState): Moments {
  const end = phaseEnd(state) ?? 30_000;
  const early = state.kind === 'open' ? 500 : Math.max(1, end - 4_000);
  return { early, deadline: state.kind === 'collecting' ? state.deadline : end, end };
}

function clientNumber(number: number): ClientId {
  const letters = 'abcdefghijklmnopqrstuvwxyz234567';
  const text = Array.from({ length: 4 }, (_value, place) => letters.charAt((number >> (5 * place)) & 31)).join('');
  return parseClientId(`cl_${text.padEnd(26, 'a')}`);
}

export function candidates(count: number, siteOf: (index: number) => string = (index) => `site-${index}`): Candidate[] {
  return Array.from({ length: count }, (_value, index) => ({ client: clientNumber(index), site: siteOf(index) }));
}

export function waiting(now: Instant, count: number): RoundEvent {
  return { kind: 'candidates', now, waiting: candidates(count), random: seededRandom(count) };
}

export function protocol(now: Instant, at: ProtocolStep | 'failed', present = 6): RoundEvent {
  return { kind: 'protocol', now, at, present: candidates(present).map(({ client }) => client) };
}

export function tally(now: Instant, reported: number, outstanding: number): RoundEvent {
  return { kind: 'tally', now, tally: { reported, outstanding } };
}
