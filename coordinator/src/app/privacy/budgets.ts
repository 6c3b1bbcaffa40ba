/** Privacy budgets in the life of rounds: charged before a cohort is selected, spent when a sum is about to be opened, given back when none can be. */
import { layoutOf, matrixOf, parseRoundId, privacyOf, roundChargeOf } from '@carapace/aggregation';
import type { BudgetId, ClientId, RoundId, Task, TaskCharge } from '@carapace/aggregation';
import { judgeReservation, mayReplace, objectionOf, partFor, roundsLeft, spentOf } from '../../domain/budget.ts';
import type { BudgetTerms, Ledger, Refusal, RoundCharge, Spent, Verdict } from '../../domain/budget.ts';
import { isPoisson } from '../../domain/round.ts';
import type { Instant, RoundPlan, RoundState } from '../../domain/round.ts';
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
      // The coordinator has each update as soon as it comes, where it has noise of its own and nothing hides it.
      const seen = from.kind === 'collecting' && (await isSeenSingly(records, round));
      if (seen) await this.#commit(records, round, from.plan, now);
      else if (!opened) await this.#append(records, { kind: 'release', round, reason: to.reason }, now);
      return;
    }
    const closes = from.kind === 'collecting' && to.kind !== 'collecting';
    if (closes) await this.#commit(records, round, from.plan, now);
  }

  async #commit(records: Records, round: RoundId, plan: RoundPlan, now: Instant): Promise<void> {
    const participants = isPoisson(plan) ? null : await participantsOf(records, round);
    await this.#append(records, { kind: 'commit', round, participants }, now);
  }

  /** What a version says of the privacy that it was made with; null without any. */
  async statement(records: Records, task: Task, base: VersionRecord, now: Instant): Promise<PrivacyStatement | null> {
    const charge = chargeOf(task, base);
    const privacy = privacyOf(task.protection);
    if (charge === null || privacy === null) return null;
    const { placement, noise, noiseMultiplier, clip, colluding, adaptive = null, matrix = null } = privacy;
    const ledger = await this.ledger.peek(records);
    const budgets = charge.budgets.map((budget) => {
      const { terms, epsilon, rounds } = spentOf(ledger, budget, now)!;
      const { delta, relation, view } = terms;
      return { budget, epsilon, delta, relation, view, rounds };
    });
    const server = charge.server === null ? 'unprotected' : 'protected';
    const mechanism = {
      placement,
      noise,
      noiseMultiplier,
      clip,
      colluding,
      ...(adaptive && { adaptive }),
      ...(matrix && { matrix }),
    };
    return { unit: 'client', ...mechanism, event: charge.event, server, budgets };
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
      roundsLeft: roundsLeft(ledger, budget, charge, now, matrixOf(task.protection)?.steps ?? MOST_ROUNDS),
    }));
  }

  /** @throws CoordinatorError `BUDGET_NOT_FOUND` for a task that names a budget that is not there, `BUDGET_VIEW` for one that it cannot be charged to */
  async require(task: Task, base: VersionRecord): Promise<void> {
    const charge = chargeOf(task, base);
    for (const budget of charge?.budgets ?? []) {
      const { terms } = await this.show(budget);
      const why = charge && objectionOf(budget, terms, charge);
      if (why !== null) throw objectionError(why);
    }
  }

  /** The ledger as far as these budgets go. @throws CoordinatorError `BUDGET_NOT_FOUND` */
  async ledgerFor(budgets: readonly BudgetId[]): Promise<Ledger> {
    const ledger = await this.ledger.read();
    const unknown = budgets.find((budget) => !ledger.budgets.has(budget));
    if (unknown !== undefined) throw new CoordinatorError('BUDGET_NOT_FOUND', `there is no budget ${unknown}`);
    return partFor(ledger, budgets);
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
  const privacy = privacyOf(task.protection);
  const charge = roundChargeOf(task, layoutOf(base.tensors).size);
  if (privacy === null || charge === null) return null;
  return { ...roundCharge(privacy.budgets, charge), ...(charge.once && { covers: task.name }) };
}

/** A round by itself, as the ledger has it. */
export function roundCharge(budgets: readonly BudgetId[], { model, server }: TaskCharge): RoundCharge {
  // Said only where it is another: most rounds cost the same in both views.
  return { budgets, ...model, ...(server !== model && { server }) };
}

export function objectionError(why: Refusal): CoordinatorError {
  return new CoordinatorError(why.kind === 'unprotected' ? 'BUDGET_VIEW' : 'PRIVACY_UNPROVED', refusalText(why));
}

/** For people: why a round was not opened. */
export function refusalText(why: Refusal): string {
  switch (why.kind) {
    case 'unknown':
      return `the budget ${why.budget} is not set`;
    case 'repeated':
      return `${why.round} is in the privacy ledger already`;
    case 'unprotected':
      return `the budget ${why.budget} is about the coordinator too, but with central noise the coordinator sees what has none yet`;
    case 'unproved':
      return `no bound is proved for a round of the task under the relation ${why.relation} of the budget ${why.budget}`;
    case 'exhausted':
      return `a further round would take the budget ${why.budget} to epsilon ${why.epsilon.toFixed(4)}, of ${why.limit}`;
  }
}

function isCharged(state: RoundState): state is Extract<RoundState, { plan: RoundPlan }> {
  return 'plan' in state && state.plan.charged;
}

/** Whose update is in the sum; or, where the coordinator sees each as it comes, whoever may have sent a part of one. */
async function participantsOf(records: Records, round: RoundId): Promise<ClientId[]> {
  const participants = await records.listParticipants(round);
  const all = await isSeenSingly(records, round);
  // A client that was revoked since has its update in the sum all the same.
  return participants
    .filter(({ status }) => all || status === 'reported' || status === 'revoked')
    .map(({ client }) => client);
}

async function isSeenSingly(records: Records, round: RoundId): Promise<boolean> {
  const protection = (await records.findTask(parseRoundId(round).task))?.task.protection;
  return protection?.kind === 'clear' && protection.privacy?.placement === 'local';
}
