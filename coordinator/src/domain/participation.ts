/** How often a client may take part: what ordinary rounds are capped by, and what correlated noise is made for. */
import { matrixOf } from '@carapace/aggregation';
import type { ClientId, Task } from '@carapace/aggregation';

export interface Cap {
  /** What is counted and measured in: rounds of the task, or the steps of its noise, of which a round that came to nothing is none. */
  readonly by: 'rounds' | 'steps';
  readonly most: number | null;
  readonly apart: number;
}

/** Null where everybody may take part always. */
export function capOf({ cohort, protection }: Task): Cap | null {
  const matrix = matrixOf(protection);
  if (matrix !== null) return { by: 'steps', most: matrix.most, apart: matrix.apart };
  return cohort.participation ? { by: 'rounds', ...cohort.participation } : null;
}

export interface TakenPart {
  readonly client: ClientId;
  readonly rounds: number;
  /** The latest, as a number of what is counted. */
  readonly last: number;
}

/** Those who may take part in the round, or step, of that number. */
export function within<T extends { readonly client: ClientId }>(
  { most, apart }: Cap,
  candidates: readonly T[],
  before: readonly TakenPart[],
  number: number,
): T[] {
  const of = new Map(before.map((taken) => [taken.client, taken]));
  return candidates.filter(({ client }) => {
    const taken = of.get(client);
    return taken === undefined || ((most === null || taken.rounds < most) && number - taken.last >= apart);
  });
}
