/** What a plan says that a run will cost is what the ledger says when it has run: for every placement, selection, view and mode, to the bit. */
import {
  layoutOf,
  parseBudgetId,
  parsePlanQuestion,
  parseRoundId,
  parseTask,
  planPrivacy,
} from '@carapace/aggregation';
import type { ClientId, TensorSpec } from '@carapace/aggregation';
import { expect, test } from 'vitest';
import { chargeOf } from '../../src/app/privacy/budgets.ts';
import { applyEntry, EMPTY_LEDGER, spentOf } from '../../src/domain/budget.ts';
import type { BudgetTerms, Ledger, LedgerEntry } from '../../src/domain/budget.ts';
import { candidates } from './round-fixtures.ts';

const BUDGET = parseBudgetId('phones');
const TENSORS: readonly TensorSpec[] = [{ name: 'w', shape: [20, 10], policy: 'mean' }];
const PARAMETERS = layoutOf(TENSORS).size;
const ROUNDS = 12;
/** Of the client that comes most. */
const TAKEN = 5;
const [often, ...others] = candidates(60).map(({ client }) => client) as [ClientId, ...ClientId[]];

const noise = (more: object): object => ({ noiseMultiplier: '1.7', clip: 0.5, budgets: [BUDGET], ...more });
const FIXED = { target: 40, minimum: 30, overSelection: 1.3 };
const COINS = { target: 40, selection: { kind: 'poisson', rate: '0.04' } };

const TASKS: readonly [string, { cohort: object; protection: object }][] = [
  ['shared Skellam', { cohort: FIXED, protection: { kind: 'secagg', privacy: noise({ colluding: 4 }) } }],
  [
    'shared Gaussian',
    { cohort: FIXED, protection: { kind: 'secagg', bits: 18, privacy: noise({ noise: 'discrete-gaussian' }) } },
  ],
  ['central, hidden', { cohort: FIXED, protection: { kind: 'secagg', privacy: noise({ placement: 'central' }) } }],
  [
    'local, hidden',
    { cohort: FIXED, protection: { kind: 'secagg', bits: 20, privacy: noise({ placement: 'local' }) } },
  ],
  ['central, in the clear', { cohort: FIXED, protection: { kind: 'clear', privacy: noise({ placement: 'central' }) } }],
  ['local, in the clear', { cohort: FIXED, protection: { kind: 'clear', privacy: noise({ placement: 'local' }) } }],
  ['secret coins', { cohort: COINS, protection: { kind: 'clear', privacy: noise({ placement: 'central' }) } }],
];

test.each(TASKS)('%s', (_, settings) => {
  const document = { name: 'digits', model: { name: 'digits' }, rounds: ROUNDS, ...settings };
  for (const mode of ['planned', 'adaptive'] as const) {
    const asked = { task: document, mode, delta: 1e-7, parameters: PARAMETERS, participations: TAKEN };
    const { run } = planPrivacy(parsePlanQuestion(asked, { population: 1000 }));
    for (const view of ['model', 'server'] as const) {
      const terms: BudgetTerms = { epsilon: 1e4, delta: 1e-7, relation: 'zero-out', view, mode, windowDays: null };
      expect(spentOf(ledgerAfter(document, terms), BUDGET, 100)!.epsilon).toBe(run!.epsilon[view]);
    }
  }
});

/** Reserved and committed as the coordinator does it, with one client in the first rounds and no other in more than one. */
function ledgerAfter(document: object, terms: BudgetTerms): Ledger {
  const task = parseTask(document);
  const charge = chargeOf(task, { tensors: TENSORS } as unknown as Parameters<typeof chargeOf>[1])!;
  const entries: LedgerEntry[] = [{ kind: 'terms', budget: BUDGET, terms }];
  for (let i = 1; i <= ROUNDS; i++) {
    const { id: round } = parseRoundId(`digits.${i}`);
    const participants = [others[i]!, ...(i <= TAKEN ? [often] : [])];
    entries.push({ kind: 'reserve', round, ...charge }, { kind: 'commit', round, participants });
  }
  return entries.reduce((ledger, entry, at) => applyEntry(ledger, entry, at), EMPTY_LEDGER);
}
