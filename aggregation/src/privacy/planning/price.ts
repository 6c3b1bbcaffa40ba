/** Epsilon of a plan, as the ledger will count it. */
import { PrivacyAccount } from '../account.ts';
import { epsilonAsDrawn } from '../drawn.ts';
import { participationsOf } from './participations.ts';
import type { PlanQuestion, PlanView } from './question.ts';
import type { Releases } from './releases.ts';

type Asked = Pick<PlanQuestion, 'relation' | 'mode' | 'delta'>;

/** Infinity when none holds, or nothing protects from that view. */
export function epsilonOf(
  { relation, mode, delta }: Asked,
  releases: Releases,
  view: PlanView,
  rounds: number,
  participations: number,
): number {
  const charges = releases.charges(view, rounds, participations);
  if (charges === null) return Infinity;
  const account = new PrivacyAccount(relation, charges);
  const answer = epsilonAsDrawn(account, releases.totalVariation(view, rounds, participations), { delta, mode });
  return answer?.value ?? Infinity;
}

/** Of the target's view after so many rounds; whatever is claimed to meet a target is confirmed by it. */
export function epsilonAt(question: PlanQuestion, releases: Releases, rounds: number): number {
  const view = question.target?.view ?? 'model';
  return epsilonOf(question, releases, view, rounds, participationsOf(question).after(rounds));
}

/** With ideal noise: no table is made for it, so a search may ask often. Never more than {@link epsilonAt}. */
export function idealEpsilonAt(question: PlanQuestion, releases: Releases, rounds: number): number {
  return epsilonAt(question, { ...releases, totalVariation: () => 0 }, rounds);
}
