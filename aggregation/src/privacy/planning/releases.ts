/** What a run tells each view, as lists of events: all that pricing asks of a mechanism. */
import type { Charge } from '../events/event.ts';
import type { TaskCharge } from '../round-charge.ts';
import type { PlanView } from './question.ts';

export interface Releases {
  /**
   * Everything that is told by `rounds` completed rounds; of these one client took part in `participations` at most. Null where nothing
   * protects from that view.
   */
  charges(view: PlanView, rounds: number, participations: number): readonly Charge[] | null;
  /** Of the noise as it is drawn from the ideal, by then. */
  totalVariation(view: PlanView, rounds: number, participations: number): number;
}

/** Independent rounds: to the model's view every one counts, to the server's those that a client took part in. */
export function repeatedRounds({ model, server }: Pick<TaskCharge, 'model' | 'server'>): Releases {
  const counted = (view: PlanView, rounds: number, participations: number): number =>
    view === 'model' ? rounds : Math.min(rounds, participations);
  return {
    charges: (view, rounds, participations) => {
      const seen = view === 'model' ? model : server;
      return seen && [{ event: seen.event, count: counted(view, rounds, participations) }];
    },
    totalVariation: (view, rounds, participations) =>
      counted(view, rounds, participations) * ((view === 'model' ? model : server)?.totalVariation ?? 0),
  };
}
