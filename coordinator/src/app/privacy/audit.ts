/** What a ledger amounts to, for an auditor who has nothing but its entries. */
import type { BudgetId } from '@carapace/aggregation';
import { spentOf } from '../../domain/budget.ts';
import type { Instant } from '../../domain/round.ts';
import { CoordinatorError } from '../../errors.ts';
import type { LedgerRecord } from '../../ports.ts';
import { replay } from './ledger.ts';

export interface LedgerReading {
  readonly chain: 'whole' | 'broken';
  readonly budgets: readonly { readonly budget: BudgetId; readonly epsilon: number }[];
}

export function readPrivacyLedger(records: readonly LedgerRecord[], now: Instant): LedgerReading {
  try {
    const { ledger } = replay(records);
    const budgets = [...ledger.budgets.keys()].map((budget) => ({
      budget,
      epsilon: spentOf(ledger, budget, now)!.epsilon,
    }));
    return { chain: 'whole', budgets };
  } catch (error) {
    if (!(error instanceof CoordinatorError) || error.code !== 'LEDGER_BROKEN') throw error;
    return { chain: 'broken', budgets: [] };
  }
}
