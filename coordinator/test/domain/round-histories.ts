/** Random rounds, run to their end as the shell runs them. */
import type { ClientId } from '@carapace/aggregation';
import { sample } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { observation, openRound, phaseEnd, step } from '../../src/domain/round.ts';
import type {
  Candidate,
  Effect,
  Instant,
  ProtocolStep,
  RoundEvent,
  RoundPlan,
  RoundState,
  Step,
} from '../../src/domain/round.ts';
import { candidates, WEIGHTS } from './round-fixtures.ts';

export type Machine = typeof step;

/** Something that happens after a pause; shares become counts once the state is known. */
interface Op {
  /** `next` is what the state waits for. */
  readonly kind: RoundEvent['kind'] | 'next';
  readonly pause: 'none' | 'to the deadline' | 'almost to the end' | { readonly ms: number };
  readonly share: number;
  readonly rest: number;
  readonly accepted: boolean;
  readonly seed: number;
}

interface Move {
  readonly before: RoundState;
  readonly event: RoundEvent;
  readonly step: Step;
}

export interface History {
  readonly plan: RoundPlan;
  readonly opening: Step;
  readonly moves: readonly Move[];
  readonly last: RoundState;
}

export const OPENED_AT = 1_800_000_000_000;

export const plans: fc.Arbitrary<RoundPlan> = fc
  .record({
    minimum: fc.integer({ min: 1, max: 8 }),
    above: fc.integer({ min: 0, max: 8 }),
    over: fc.integer({ min: 0, max: 8 }),
    perSite: fc.option(fc.integer({ min: 1, max: 4 })),
    selectionMs: fc.integer({ min: 1, max: 1_000 }),
    reportMs: fc.integer({ min: 1, max: 5_000 }),
    graceMs: fc.integer({ min: 0, max: 1_000 }),
    workMs: fc.integer({ min: 1, max: 2_000 }),
    charged: fc.constant(false),
    protocol: fc.oneof(
      { weight: 1, arbitrary: fc.constant(null) },
      {
        weight: 4,
        arbitrary: fc.record({
          by: fc.constantFrom('cohort' as const, 'cohort' as const, 'cohort' as const, 'aggregator' as const),
          stepMs: fc.integer({ min: 1, max: 1_000 }),
        }),
      },
    ),
  })
  .map(({ minimum, above, over, ...plan }) => {
    return { minimum, target: minimum + above, cohort: minimum + above + over, ...plan };
  });

/** Evenly spread, which `fc.double` is not. */
const fraction = fc.integer({ min: 0, max: 1_000 }).map((thousandths) => thousandths / 1_000);

export const ops: fc.Arbitrary<Op[]> = fc.array(
  fc.record({
    kind: fc.oneof(
      { weight: 9, arbitrary: fc.constant('next' as const) },
      {
        weight: 1,
        arbitrary: fc.constantFrom<RoundEvent['kind'][]>(
          'candidates',
          'protocol',
          'tally',
          'aggregated',
          'aggregation-failed',
          'evaluated',
          'evaluation-failed',
          'tick',
          'stop',
        ),
      },
    ),
    pause: fc.oneof(
      fc.constantFrom('none' as const, 'to the deadline' as const, 'almost to the end' as const),
      fc.record({ ms: fc.integer({ min: 1, max: 3_000 }) }),
    ),
    share: fraction,
    rest: fraction,
    accepted: fc.boolean(),
    seed: fc.nat(),
  }),
  { maxLength: 30 },
);

function waitingOf({ share, seed }: Op, plan: RoundPlan): Candidate[] {
  const many = candidates(Math.floor(share * (2 * plan.cohort + 1)), (index) => `site-${(index * 7 + seed) % 5}`);
  return sample(seededRandom(seed), many, many.length);
}

const NEXT: Readonly<Record<RoundState['kind'], RoundEvent['kind']>> = {
  open: 'candidates',
  agreeing: 'protocol',
  collecting: 'tally',
  unmasking: 'protocol',
  aggregating: 'aggregated',
  evaluating: 'evaluated',
  completed: 'tick',
  abandoned: 'candidates',
};

function later(now: Instant, pause: Op['pause'], state: RoundState): Instant {
  if (typeof pause === 'object') return now + pause.ms;
  if (pause === 'to the deadline' && state.kind === 'collecting') return Math.max(now, state.deadline);
  return pause === 'none' ? now : Math.max(now, (phaseEnd(state) ?? now) - 1);
}

/** Counts as the records can hold them: of a cohort, some have reported and some are outstanding. */
function eventOf(op: Op, state: RoundState, plan: RoundPlan, now: Instant): RoundEvent {
  const { share, rest, accepted, seed } = op;
  const kind = op.kind === 'next' ? NEXT[state.kind] : op.kind;
  const selected = state.kind === 'collecting' ? state.selected : plan.cohort;
  const reported = Math.min(selected, Math.floor(share * (selected + 1)));
  switch (kind) {
    case 'candidates':
      return { kind, now, waiting: waitingOf(op, plan), random: seededRandom(seed) };
    case 'protocol':
      return { kind, now, at: ofPlan(plan, protocolStep(op, state, now)), present: presentOf(op, plan) };
    case 'tally':
      return { kind, now, tally: { reported, outstanding: Math.ceil(rest * (selected - reported)) } };
    case 'aggregated': {
      const most = state.kind === 'aggregating' ? state.reported : selected;
      return { kind, now, weights: WEIGHTS, reported: Math.max(0, most - (rest < 0.2 ? 1 : 0)) };
    }
    case 'evaluated':
      return { kind, now, accepted };
    case 'aggregation-failed':
    case 'evaluation-failed':
    case 'tick':
    case 'stop':
      return { kind, now };
  }
}

/** Whoever of the cohort is still in the protocol; nobody at times, which must not look like everybody. */
function presentOf({ rest }: Op, plan: RoundPlan): ClientId[] {
  return candidates(Math.floor(rest * (plan.cohort + 1))).map(({ client }) => client);
}

const STEPS: readonly ProtocolStep[] = [
  'advertise-keys',
  'share-keys',
  'masked-input',
  'consistency',
  'unmask',
  'opening',
];

/** With a second aggregator there are only its key and its sum. */
function ofPlan({ protocol }: RoundPlan, at: ProtocolStep | 'failed'): ProtocolStep | 'failed' {
  if (protocol?.by !== 'aggregator') return at;
  return at === 'share-keys' ? 'masked-input' : at === 'consistency' ? 'unmask' : at;
}

/** A protocol is where its round is or just beyond, has failed, or at times is said to be anywhere. */
function protocolStep({ share, rest, seed }: Op, state: RoundState, now: Instant): ProtocolStep | 'failed' {
  if (state.kind !== 'agreeing' && state.kind !== 'unmasking') return STEPS[seed % STEPS.length]!;
  const over = now >= state.deadline;
  if (rest < 0.05) return 'failed';
  if (!over && rest > 0.95) return STEPS[seed % STEPS.length]!;
  const ahead = share < 0.6 ? 1 : share < 0.7 ? 2 : over && share < 0.95 ? 1 : 0;
  const last = state.kind === 'agreeing' ? 2 : 5;
  return STEPS[Math.min(last, STEPS.indexOf(state.step) + ahead)]!;
}

/** What the shell owes the round at the end of a phase, whatever it sees there. */
function owed(state: RoundState, op: Op, plan: RoundPlan, now: Instant): RoundEvent | null {
  const kind = observation(state);
  return kind === null ? null : eventOf({ ...op, kind }, state, plan, now);
}

/** Runs a round to its end as the shell does: any event at any time, and an observation at the end of every phase. */
export function run(machine: Machine, plan: RoundPlan, script: readonly Op[]): History {
  const opening = openRound(plan, OPENED_AT);
  const moves: Move[] = [];
  let state = opening.state;
  let now = OPENED_AT;
  const apply = (event: RoundEvent): void => {
    const next = machine(state, event);
    moves.push({ before: state, event, step: next });
    state = next.state;
  };
  const observeUntil = (until: Instant, op: Op): void => {
    for (let looks = 0; looks < 10; looks++) {
      const end = phaseEnd(state);
      if (end === null || end > until) return;
      const event = owed(state, op, plan, end);
      if (event !== null) apply(event);
    }
  };
  for (const op of script) {
    now = later(now, op.pause, state);
    observeUntil(now, op);
    apply(eventOf(op, state, plan, now));
  }
  const last = script.at(-1) ?? { kind: 'next', pause: 'none', share: 0, rest: 0, accepted: true, seed: 0 };
  observeUntil(Infinity, last);
  return { plan, opening, moves, last: state };
}

export function effectsOf<Kind extends Effect['kind']>(
  { moves }: History,
  kind: Kind,
): (Extract<Effect, { kind: Kind }> & { readonly move: Move })[] {
  return moves.flatMap((move) =>
    move.step.effects
      .filter((effect): effect is Extract<Effect, { kind: Kind }> => effect.kind === kind)
      .map((effect) => ({ ...effect, move })),
  );
}
