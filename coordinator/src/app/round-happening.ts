/** What a step of a round amounts to, for those who count or show it. */
import type { Metrics } from '@carapace/aggregation';
import type { RoundState } from '../domain/round.ts';
import type { Happening } from './happenings.ts';
import type { Advance } from './round-stepping.ts';

export function happeningOf({ round, step, now, published }: Advance, metrics: Metrics): Happening | null {
  const base = { at: now, task: round.task, round: round.id };
  const phaseMs = now - phaseStart(round.state, now);
  const durationMs = now - round.createdAt;
  const { state } = step;
  switch (state.kind) {
    case 'open':
      return null;
    case 'collecting': {
      const selected = step.effects.find((effect) => effect.kind === 'select');
      return {
        ...base,
        kind: 'cohort-selected',
        clients: selected?.cohort.map(({ client }) => client) ?? [],
        deadline: state.deadline,
      };
    }
    case 'aggregating':
      return { ...base, kind: 'round-aggregating', reported: state.reported, collectingMs: phaseMs };
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

function phaseStart(state: RoundState, now: number): number {
  switch (state.kind) {
    case 'open':
      return state.openedAt;
    case 'collecting':
      return state.startedAt;
    case 'aggregating':
    case 'evaluating':
      return state.since;
    case 'completed':
    case 'abandoned':
      return now;
  }
}
