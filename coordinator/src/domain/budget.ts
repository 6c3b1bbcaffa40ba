/**
 * The privacy ledger as a value: what was reserved, spent and given back, entry after entry, and what it amounts to. Nothing here reads a
 * clock or a record, so whoever has the entries computes the same epsilon to the bit. Invariants: `docs/privacy.md`.
 */
import { AggregationError, canonicalEvent, epsilonAsDrawn, PrivacyAccount } from '@carapace/aggregation';
import type {
  BudgetId,
  BudgetMode,
  Charge,
  ClientId,
  PrivacyAnswer,
  PrivacyEvent,
  RoundId,
  TaskId,
  ViewCharge,
} from '@carapace/aggregation';
import type { Instant } from './round.ts';

/**
 * `model`: whoever sees the models; every round counts. `server`: whoever knows who took part, the coordinator too; the rounds of the client
 * that took part most count. No round is amplified by sampling in either.
 */
export const BUDGET_VIEWS = ['model', 'server'] as const;
/** Neighbours of noise that clients share: one client's contribution is nothing, or another; nobody comes or goes. */
export const BUDGET_RELATIONS = ['zero-out', 'replace-one'] as const;

export interface BudgetTerms {
  readonly epsilon: number;
  readonly delta: number;
  readonly relation: (typeof BUDGET_RELATIONS)[number];
  readonly view: (typeof BUDGET_VIEWS)[number];
  readonly mode: BudgetMode;
  /** Rounds older than this many days do not count; null counts all. */
  readonly windowDays: number | null;
}

/** What one round is charged, fixed before its cohort is selected. */
export interface RoundCharge {
  readonly budgets: readonly BudgetId[];
  /** In the view `model`, and in the view `server` too unless that has another. */
  readonly event: PrivacyEvent;
  /** Of the noise as it is drawn from the ideal: paid out of delta. */
  readonly totalVariation: number;
  /** In the view `server`; null where nothing protects from it. */
  readonly server?: ViewCharge | null;
  /** Of correlated noise: the event is that of all rounds of this task together, and counts once however many there are. */
  readonly covers?: TaskId;
}

export type LedgerEntry =
  | { readonly kind: 'terms'; readonly budget: BudgetId; readonly terms: BudgetTerms }
  | ({ readonly kind: 'reserve'; readonly round: RoundId } & RoundCharge)
  /** The sum is about to be opened, with these in it (null: that is a secret): from here on it is spent, whatever happens. */
  | { readonly kind: 'commit'; readonly round: RoundId; readonly participants: readonly ClientId[] | null }
  /** Nothing was opened, and nothing can be. */
  | { readonly kind: 'release'; readonly round: RoundId; readonly reason: string }
  /** An entry was written and is gone: what it may have led to is spent, beside whatever becomes of the round of that name. */
  | ({
      readonly kind: 'lost';
      readonly round: RoundId;
      readonly participants: readonly ClientId[] | null;
    } & RoundCharge);

export interface Charged extends RoundCharge {
  readonly at: Instant;
  /** Null as long as the round may take in anybody, and for good where it is a secret whom it took in. */
  readonly participants: readonly ClientId[] | null;
  /** Not to be given back. */
  readonly spent: boolean;
}

export interface Ledger {
  readonly budgets: ReadonlyMap<BudgetId, BudgetTerms>;
  /** Reserved or spent. */
  readonly rounds: ReadonlyMap<RoundId, Charged>;
  /** Spent by rounds that nobody remembers. */
  readonly lost: readonly Charged[];
}

export const EMPTY_LEDGER: Ledger = { budgets: new Map(), rounds: new Map(), lost: [] };

const DAY_MS = 86_400_000;

/** An entry that does not fit what is there (a second reservation, a commit of nothing) changes nothing: replaying twice is replaying once. */
export function applyEntry(ledger: Ledger, entry: LedgerEntry, at: Instant): Ledger {
  switch (entry.kind) {
    case 'terms':
      return { ...ledger, budgets: new Map(ledger.budgets).set(entry.budget, entry.terms) };
    case 'reserve': {
      if (ledger.rounds.has(entry.round)) return ledger;
      return withRound(ledger, entry.round, { ...chargeIn(entry), at, participants: null, spent: false });
    }
    case 'commit': {
      const reserved = ledger.rounds.get(entry.round);
      if (reserved === undefined || reserved.spent) return ledger;
      return withRound(ledger, entry.round, { ...reserved, participants: entry.participants, spent: true });
    }
    case 'lost': {
      // What got lost may have been released again: it is covered by nothing.
      const { covers: _covers, ...charge } = chargeIn(entry);
      const { participants } = entry;
      return { ...ledger, lost: [...ledger.lost, { ...charge, at, participants, spent: true }] };
    }
    case 'release': {
      // What was committed stays spent.
      if (ledger.rounds.get(entry.round)?.spent !== false) return ledger;
      const rounds = new Map(ledger.rounds);
      rounds.delete(entry.round);
      return { ...ledger, rounds };
    }
  }
}

/** The charge alone, of an entry or a round. */
export function chargeIn({ budgets, event, totalVariation, server, covers }: RoundCharge): RoundCharge {
  const rest = { ...(server !== undefined && { server }), ...(covers !== undefined && { covers }) };
  return { budgets, event, totalVariation, ...rest };
}

/** What some budgets see of it. Who took part is told where it counts. */
export function partFor({ budgets, rounds, lost }: Ledger, named: readonly BudgetId[]): Ledger {
  const terms = new Map([...budgets].filter(([budget]) => named.includes(budget)));
  const counts = [...terms.values()].some(({ view }) => view === 'server');
  const touches = (charged: Charged): boolean => charged.budgets.some((budget) => terms.has(budget));
  const seen = (charged: Charged): Charged => (counts ? charged : { ...charged, participants: null });
  return {
    budgets: terms,
    rounds: new Map([...rounds].filter(([, of]) => touches(of)).map(([id, of]) => [id, seen(of)])),
    lost: lost.filter(touches).map(seen),
  };
}

export interface Spent {
  readonly budget: BudgetId;
  readonly terms: BudgetTerms;
  /** Of what is reserved and spent; 0 when nothing is. */
  readonly epsilon: number;
  /** Rounds that count, of the client that took part most where the view is the server's. */
  readonly rounds: number;
  readonly answer: PrivacyAnswer | null;
}

export type Verdict =
  { readonly kind: 'granted'; readonly after: readonly Spent[] } | { readonly kind: 'refused'; readonly why: Refusal };

export type Refusal =
  | { readonly kind: 'unknown'; readonly budget: BudgetId }
  /** It would be charged once for twice. */
  | { readonly kind: 'repeated'; readonly round: RoundId }
  /** The budget is about the coordinator too, who sees what has no noise yet. */
  | { readonly kind: 'unprotected'; readonly budget: BudgetId }
  /** No bound is known for the charge with the neighbours of the budget, or with parameters that follow results. */
  | { readonly kind: 'unproved'; readonly budget: BudgetId; readonly relation: BudgetTerms['relation'] }
  | { readonly kind: 'exhausted'; readonly budget: BudgetId; readonly epsilon: number; readonly limit: number };

/** Whether a round may be charged: with all that is reserved and spent, every budget that it touches must still hold. */
export function judgeReservation(ledger: Ledger, round: RoundId, charge: RoundCharge, now: Instant): Verdict {
  if (ledger.rounds.has(round)) return { kind: 'refused', why: { kind: 'repeated', round } };
  const unknown = charge.budgets.find((budget) => !ledger.budgets.has(budget));
  if (unknown !== undefined) return { kind: 'refused', why: { kind: 'unknown', budget: unknown } };
  const objections = charge.budgets.flatMap((budget) => objectionOf(budget, ledger.budgets.get(budget)!, charge) ?? []);
  if (objections[0] !== undefined) return { kind: 'refused', why: objections[0] };
  const after = applyEntry(ledger, { kind: 'reserve', round, ...charge }, now);
  const spent = charge.budgets.map((budget) => spentOf(after, budget, now)!);
  const over = spent.find(({ epsilon, terms }) => !(epsilon <= terms.epsilon));
  if (over === undefined) return { kind: 'granted', after: spent };
  const { budget, epsilon, terms } = over;
  return { kind: 'refused', why: { kind: 'exhausted', budget, epsilon, limit: terms.epsilon } };
}

/** Why no epsilon can be told of the charge by a budget's terms, or null. */
export function objectionOf(
  budget: BudgetId,
  { view, relation, delta, mode }: BudgetTerms,
  charge: RoundCharge,
): Refusal | null {
  const seen = seenIn(charge, view);
  if (seen === null) return { kind: 'unprotected', budget };
  try {
    new PrivacyAccount(relation, chargesOf([seen])).epsilon(delta, { engine: engineOf(mode) });
    return null;
  } catch (error) {
    if (error instanceof AggregationError && error.code === 'PRIVACY_EVENT_UNSUPPORTED')
      return { kind: 'unproved', budget, relation };
    throw error;
  }
}

/** All rounds that one charge covers count as the first of them. */
function withoutCovered(history: readonly Charged[]): Charged[] {
  const covered = new Set<string>();
  return history.filter(({ covers, event }) => {
    if (covers === undefined) return true;
    const key = `${covers} ${canonicalEvent(event)}`;
    const isFirst = !covered.has(key);
    covered.add(key);
    return isFirst;
  });
}

function engineOf(mode: BudgetTerms['mode']): 'certified' | 'rdp' {
  return mode === 'planned' ? 'certified' : 'rdp';
}

/** What a budget stands at, or undefined when there is no such budget. */
export function spentOf(ledger: Ledger, budget: BudgetId, now: Instant): Spent | undefined {
  const terms = ledger.budgets.get(budget);
  if (terms === undefined) return undefined;
  const counted = countedIn(ledger, budget, terms, now);
  const histories = terms.view === 'model' ? [counted] : historiesOf(counted);
  let worst: Spent = { budget, terms, epsilon: 0, rounds: 0, answer: null };
  for (const history of histories) {
    if (history.length === 0) continue;
    const answer = priceOf(history, terms);
    const epsilon = answer === null ? Infinity : answer.value;
    if (epsilon >= worst.epsilon) worst = { budget, terms, epsilon, rounds: history.length, answer };
  }
  return worst;
}

/** How many more rounds like this the budget holds, up to `most`. */
export function roundsLeft(ledger: Ledger, budget: BudgetId, charge: RoundCharge, now: Instant, most: number): number {
  const terms = ledger.budgets.get(budget);
  if (terms === undefined) return 0;
  const counted = countedIn(ledger, budget, terms, now);
  const histories = terms.view === 'model' ? [counted] : historiesOf(counted);
  const more: Charged = { ...charge, at: now, participants: null, spent: false };
  const holds = (rounds: number): boolean =>
    (histories.length === 0 ? [[]] : histories).every((history) => {
      const answer = priceOf([...history, ...new Array<Charged>(rounds).fill(more)], terms);
      return answer !== null && answer.value <= terms.epsilon;
    });
  let [low, high] = [0, 1];
  while (high <= most && holds(high)) [low, high] = [high, 2 * high];
  high = Math.min(high, most + 1);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}

/** Whether terms may replace others: what was charged under one relation, view and delta is not priced under another. */
export function mayReplace(ledger: Ledger, budget: BudgetId, terms: BudgetTerms): boolean {
  const before = ledger.budgets.get(budget);
  if (
    before === undefined ||
    ![...ledger.rounds.values(), ...ledger.lost].some(({ budgets }) => budgets.includes(budget))
  )
    return true;
  // Once adaptive, parameters have followed results: no planned bound is valid for them any more.
  const keepsMode = before.mode === terms.mode || terms.mode === 'adaptive';
  const same = (['relation', 'view', 'delta', 'windowDays'] as const).every((key) => before[key] === terms[key]);
  return same && keepsMode;
}

function withRound(ledger: Ledger, round: RoundId, charged: Charged): Ledger {
  return { ...ledger, rounds: new Map(ledger.rounds).set(round, charged) };
}

function countedIn({ rounds, lost }: Ledger, budget: BudgetId, { windowDays }: BudgetTerms, now: Instant): Charged[] {
  const since = windowDays === null ? -Infinity : now - windowDays * DAY_MS;
  return [...rounds.values(), ...lost].filter(({ budgets, at }) => budgets.includes(budget) && at > since);
}

/** For each client the rounds that it took part in, or may still; clients with equal histories once. */
function historiesOf(counted: readonly Charged[]): Charged[][] {
  const open = counted.filter(({ participants }) => participants === null);
  const byClient = new Map<ClientId, Charged[]>();
  for (const charged of counted)
    for (const client of charged.participants ?? []) byClient.set(client, [...(byClient.get(client) ?? []), charged]);
  const distinct = new Map<string, Charged[]>();
  for (const history of byClient.values()) {
    const all = [...history, ...open];
    distinct.set(textOf(all), all);
  }
  return distinct.size === 0 ? [open] : [...distinct.values()];
}

/** Null when no epsilon holds. */
function priceOf(history: readonly Charged[], { relation, delta, mode, view }: BudgetTerms): PrivacyAnswer | null {
  const seen = withoutCovered(history).map((charged) => seenIn(charged, view));
  if (!seen.every((charge) => charge !== null)) return null;
  const variation = seen.reduce((sum, { totalVariation }) => sum + totalVariation, 0);
  return epsilonAsDrawn(new PrivacyAccount(relation, chargesOf(seen)), variation, { delta, mode });
}

function chargesOf(history: readonly ViewCharge[]): Charge[] {
  return history.map(({ event }) => ({ event, count: 1 }));
}

/** What a charge is in the eyes of a view; null where nothing protects from it. */
function seenIn(charged: RoundCharge, view: BudgetTerms['view']): ViewCharge | null {
  return view === 'model' || charged.server === undefined ? charged : charged.server;
}

/** Equal texts cost the same in the server's view. */
function textOf(history: readonly Charged[]): string {
  const seen = history.flatMap((charged) => seenIn(charged, 'server') ?? []);
  return `${history.length - seen.length}:${new PrivacyAccount('zero-out', chargesOf(seen)).toText()}`;
}
