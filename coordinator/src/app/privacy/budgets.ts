/** Privacy budgets in the life of rounds: charged before a cohort is selected, spent when a sum is about to be opened, given back when none can be. */
import { eventOf, layoutOf, planOfTask, totalVariationOf } from '@carapace/aggregation';
import type { BudgetId, ClientId, RoundId, Task } from '@carapace/aggregation';
import { judgeReservation, mayReplace, roundsLeft, spentOf } from '../../domain/budget.ts';
import type { BudgetTerms, Refusal, RoundCharge, Spent, Verdict } from '../../domain/budget.ts';
import type { Instant, RoundState } from '../../domain/round.ts';
import { CoordinatorError } from '../../errors.ts';
import type { Records, VersionRecord } from '../../ports.ts';
import type { Actor } from '../api.ts';
import type { Context } from '../context.ts';
import { audit } from '../versions.ts';
import { PrivacyLedger } from './ledger.ts';
import type { Forecast, PrivacyStatement } from './statement.ts';

const SYSTEM = 'system';
/** Forecasts end here. */
const MOST_ROUNDS = 1_000_000;

export class Budgets {
  readonly #ctx: Context;
  readonly ledger: PrivacyLedger;

  constructor(ctx: Context) {
    this.#ctx = ctx;
    this.ledger = new PrivacyLedger(ctx);
  }

  /** In the transaction that opens the round. Null for a task that is charged nothing. */
  async reserve(
    records: Records,
    round: RoundId,
    task: Task,
    base: VersionRecord,
    now: Instant,
  ): Promise<Verdict | null> {
    const charge = chargeOf(task, base);
    if (charge === null) return null;
    const verdict = judgeReservation(await this.ledger.lock(records), round, charge, now);
    if (verdict.kind === 'granted')
      await this.ledger.append(records, { kind: 'reserve', round, ...charge }, now, SYSTEM);
    return verdict;
  }

  /** In the transaction that moves a round on, when what becomes of its charge is decided there. */
  async settle(records: Records, round: RoundId, from: RoundState, to: RoundState, now: Instant): Promise<void> {
    if (!isCharged(from)) return;
    if (to.kind === 'abandoned') {
      // From `unmasking` on a sum may have been opened: it stays spent.
      const opened = from.kind === 'unmasking' || from.kind === 'aggregating' || from.kind === 'evaluating';
      if (!opened) await this.#append(records, { kind: 'release', round, reason: to.reason }, now);
      return;
    }
    const closes = from.kind === 'collecting' && to.kind !== 'collecting';
    if (closes)
      await this.#append(records, { kind: 'commit', round, participants: await reportersOf(records, round) }, now);
  }

  /** What a version says of the privacy that it was made with; null without any. */
  async statement(records: Records, task: Task, base: VersionRecord, now: Instant): Promise<PrivacyStatement | null> {
    const charge = chargeOf(task, base);
    if (charge === null || task.protection.kind === 'clear' || task.protection.privacy === null) return null;
    const { noise, noiseMultiplier, clip, colluding } = task.protection.privacy;
    const ledger = await this.ledger.peek(records);
    const budgets = charge.budgets.map((budget) => {
      const { terms, epsilon, rounds } = spentOf(ledger, budget, now)!;
      const { delta, relation, view } = terms;
      return { budget, epsilon, delta, relation, view, rounds };
    });
    return { unit: 'client', noise, noiseMultiplier, clip, colluding, event: charge.event, budgets };
  }

  async setTerms(budget: BudgetId, terms: BudgetTerms, actor: Actor): Promise<Spent> {
    await this.#ctx.store.transaction('set_budget', async (records) => {
      const now = this.#ctx.clock.now();
      if (!mayReplace(await this.ledger.lock(records), budget, terms))
        throw new CoordinatorError(
          'BUDGET_TERMS',
          `${budget} has been charged: only its epsilon may change, or planned become adaptive`,
        );
      await this.ledger.append(records, { kind: 'terms', budget, terms }, now, actor);
      await audit(records, now, actor, 'budget.set', budget, { terms });
    });
    return this.show(budget);
  }

  async show(budget: BudgetId): Promise<Spent> {
    const spent = spentOf(await this.ledger.read(), budget, this.#ctx.clock.now());
    if (spent === undefined) throw new CoordinatorError('BUDGET_NOT_FOUND', `there is no budget ${budget}`);
    return spent;
  }

  async list(): Promise<Spent[]> {
    const ledger = await this.ledger.read();
    return [...ledger.budgets.keys()].map((budget) => spentOf(ledger, budget, this.#ctx.clock.now())!);
  }

  /** How many more rounds of a task its budgets hold. */
  async forecast(task: Task, base: VersionRecord): Promise<Forecast[]> {
    const charge = chargeOf(task, base);
    if (charge === null) return [];
    const ledger = await this.ledger.read();
    const now = this.#ctx.clock.now();
    return charge.budgets.map((budget) => ({
      budget,
      roundsLeft: roundsLeft(ledger, budget, charge, now, MOST_ROUNDS),
    }));
  }

  /** @throws CoordinatorError `BUDGET_NOT_FOUND` for a task that names a budget that is not there */
  async require(task: Task): Promise<void> {
    const { protection } = task;
    if (protection.kind === 'clear' || protection.privacy === null) return;
    for (const budget of protection.privacy.budgets) await this.show(budget);
  }

  /** An operator takes the ledger as it is, after a backup was restored. */
  async acceptLedger(actor: Actor): Promise<number> {
    return this.#ctx.store.transaction('accept_ledger', async (records) => {
      const head = await this.ledger.accept(records);
      await audit(records, this.#ctx.clock.now(), actor, 'ledger.accept', String(head?.sequence ?? 0));
      return head?.sequence ?? 0;
    });
  }

  async #append(records: Records, entry: Parameters<PrivacyLedger['append']>[1], now: Instant): Promise<void> {
    await this.ledger.lock(records);
    await this.ledger.append(records, entry, now, SYSTEM);
  }
}

/** What every round of a task is charged; null for one without privacy. */
export function chargeOf(task: Task, base: VersionRecord): RoundCharge | null {
  const plan = planOfTask(task, layoutOf(base.tensors).size);
  if (plan === null || task.protection.kind === 'clear' || task.protection.privacy === null) return null;
  const { budgets } = task.protection.privacy;
  return { budgets, event: eventOf(plan), totalVariation: totalVariationOf(plan) };
}

/** For people: why a round was not opened. */
export function refusalText(why: Refusal): string {
  switch (why.kind) {
    case 'unknown':
      return `the budget ${why.budget} is not set`;
    case 'repeated':
      return `${why.round} is in the privacy ledger already`;
    case 'exhausted':
      return `a further round would take the budget ${why.budget} to epsilon ${why.epsilon.toFixed(4)}, of ${why.limit}`;
  }
}

function isCharged(state: RoundState): boolean {
  return 'plan' in state && state.plan.charged;
}

async function reportersOf(records: Records, round: RoundId): Promise<ClientId[]> {
  const participants = await records.listParticipants(round);
  // A client that was revoked since has its update in the sum all the same.
  return participants.filter(({ status }) => status === 'reported' || status === 'revoked').map(({ client }) => client);
}
