/** What a client's own training with noise releases of its examples: so many steps, each of a batch into which every example came by a secret coin. */
import type { PrivacyEvent } from './events/event.ts';
import { latticeEvent } from './clear-noise.ts';
import type { LatticePlan } from './mechanisms/lattice-plan.ts';

export interface StepsCharge {
  readonly event: PrivacyEvent;
  readonly count: number;
}

/** Coins are the client's own and nobody is told how they fell, so each step counts as sampled, against everybody. @param rate of a coin, above 0, at most 1 */
export function stepsCharge(plan: LatticePlan, rate: number, steps: number): StepsCharge {
  const event = latticeEvent(plan);
  if (event.kind !== 'distributed-discrete-gaussian') throw new Error('noise on a lattice is discrete Gaussian');
  return { event: rate === 1 ? event : { kind: 'poisson', probability: rate, event }, count: steps };
}
