/** What budgets have left for the rounds of a plan, which nobody has asked to be charged yet. */
import type { BudgetsLeft } from '@carapace/aggregation';
import { objectionOf, roundsLeft } from '../../domain/budget.ts';
import type { PlanningInput } from '../../ports.ts';
import { objectionError, roundCharge } from './budgets.ts';

/** Throws CoordinatorError `BUDGET_VIEW` or `PRIVACY_UNPROVED` where a task could not name the budget either. */
export function plannedBudgets({ budgets, ledger, now }: Omit<PlanningInput, 'question'>): BudgetsLeft {
  return (charge, most) => {
    // How far noise is from the ideal takes long to tell.
    if (budgets.length === 0) return [];
    const round = roundCharge(budgets, charge);
    return budgets.map((budget) => {
      const why = objectionOf(budget, ledger.budgets.get(budget)!, round);
      if (why !== null) throw objectionError(why);
      return { budget, roundsLeft: roundsLeft(ledger, budget, round, now, most) };
    });
  };
}
