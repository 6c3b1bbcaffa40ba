/** What a step of a round amounts to, for those who count or show it. */
import type { Metrics, RoundId, TaskId } from '@carapace/aggregation';
import type { Effect, Instant, RoundState } from '../domain/round.ts';
import type { Happening } from './happenings.ts';
import type { Advance } from './round-stepping.ts';

export function happeningOf({ round, step, now, published }: Advance, metrics: Metrics): Happening | null {
  const base = { at: now, task: round.task, round: round.id };
  const phaseMs = now - phaseStart(round.state, now);
  const durationMs = now - round.createdAt;
  const { state } = step;
  const selected = step.effects.find((effect) => effect.kind === 'select');
  switch (state.kind) {
    case 'open':
      return null;
    case 'agreeing':
      return selected === undefined ? null : cohortSelected(base, selected, state.deadline);
    case 'collecting':
      return selected === undefined
        ? { ...base, kind: 'round-collecting', clients: state.selected, phaseMs }
        : cohortSelected(base, selected, state.deadline);
    case 'unmasking':
      return round.state.kind === 'collecting'
        ? { ...base, kind: 'round-unmasking', reported: state.reported, phaseMs }
        : null;
    case 'aggregating':
      return {
        ...base,
        kind: 'round-aggregating',
        reported: state.reported,
        after: round.state.kind === 'unmasking' ? 'unmasking' : 'collecting',
        phaseMs,
      };
    case 'evaluating':
      return { ...base, kind: 'round-evaluating', aggregatingMs: phaseMs };
    case 'completed':
      if (published === null) throw new Error(`${round.id} completed without a version`);
      return {
        ...base,
        kind: 'round-completed',
        version: published.version,
        reported: state.reported,
        metrics,
        durationMs,
      };
    case 'abandoned':
      return { ...base, kind: 'round-abandoned', reason: state.reason, durationMs };
  }
}

function cohortSelected(
  base: { readonly at: Instant; readonly task: TaskId; readonly round: RoundId },
  { cohort }: Extract<Effect, { kind: 'select' }>,
  deadline: Instant,
): Happening {
  return { ...base, kind: 'cohort-selected', clients: cohort.map(({ client }) => client), deadline };
}

function phaseStart(state: RoundState, now: number): number {
  switch (state.kind) {
    case 'open':
      return state.openedAt;
    case 'agreeing':
    case 'collecting':
      return state.startedAt;
    case 'unmasking':
    case 'aggregating':
    case 'evaluating':
      return state.since;
    case 'completed':
    case 'abandoned':
      return now;
  }
}
