/**
 * What a budget is charged: an epsilon that holds with the noise as it is drawn, which is not quite the ideal noise. That costs
 * (1 + e^epsilon) times its total variation out of delta. The ledger and the planner ask here, so that they cannot differ.
 */
import type { PrivacyAccount } from './account.ts';
import type { PrivacyAnswer } from './query.ts';

/** `planned`: parameters are fixed before the first round. `adaptive`: they may follow results; only Renyi bounds are valid then. */
export const BUDGET_MODES = ['planned', 'adaptive'] as const;
export type BudgetMode = (typeof BUDGET_MODES)[number];

/** Settles at once where drawn noise is as near to the ideal as ours; a table that were far off would not settle. */
const MOST_TURNS = 20;

/** Null when no epsilon holds. @throws AggregationError as `privacyEpsilon` */
export function epsilonAsDrawn(
  account: PrivacyAccount,
  totalVariation: number,
  { delta, mode }: { readonly delta: number; readonly mode: BudgetMode },
): PrivacyAnswer | null {
  const engine = mode === 'planned' ? 'certified' : 'rdp';
  let answer = account.epsilon(delta, { engine });
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    // A huge epsilon has no exponential: nothing times it is still nothing.
    const left = totalVariation === 0 ? delta : delta - (1 + Math.exp(answer.value)) * totalVariation;
    if (!(left > 0)) return null;
    if (left === delta) return answer;
    const next = account.epsilon(left, { engine });
    if (next.value <= answer.value) return answer;
    answer = next;
  }
  return null;
}
