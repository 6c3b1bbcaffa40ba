/** The privacy ledger as a value: laws over random histories, and the borders of what a budget holds. */
import { parseBudgetId, parseRoundId, parseTaskId, PrivacyAccount } from '@carapace/aggregation';
import type { ClientId, PrivacyEvent, RoundId } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  applyEntry,
  EMPTY_LEDGER,
  judgeReservation,
  mayReplace,
  partFor,
  roundsLeft,
  spentOf,
} from '../../src/domain/budget.ts';
import type { BudgetTerms, Ledger, LedgerEntry, RoundCharge } from '../../src/domain/budget.ts';
import { candidates } from './round-fixtures.ts';

const NAME = parseBudgetId('keyboard');
const OTHER = parseBudgetId('other');
const TERMS: BudgetTerms = {
  epsilon: 4,
  delta: 1e-6,
  relation: 'zero-out',
  view: 'model',
  mode: 'planned',
  windowDays: null,
};
const GAUSSIAN: PrivacyEvent = { kind: 'gaussian', noiseMultiplier: 2 };
const CHARGE: RoundCharge = { budgets: [NAME], event: GAUSSIAN, totalVariation: 0 };
const clients = candidates(6).map(({ client }) => client);
const round = (number: number): RoundId => parseRoundId(`t.${number}`).id;
const DAY = 86_400_000;

function ledgerOf(entries: readonly LedgerEntry[], from: Ledger = EMPTY_LEDGER): Ledger {
  return entries.reduce((ledger, entry, i) => applyEntry(ledger, entry, i), from);
}
const withTerms = (terms: Partial<BudgetTerms> = {}): LedgerEntry => ({
  kind: 'terms',
  budget: NAME,
  terms: { ...TERMS, ...terms },
});
const reserve = (number: number, event: PrivacyEvent = GAUSSIAN): LedgerEntry => ({
  kind: 'reserve',
  round: round(number),
  ...CHARGE,
  event,
});
const commit = (number: number, participants: readonly ClientId[] = clients): LedgerEntry => ({
  kind: 'commit',
  round: round(number),
  participants,
});
const epsilonOf = (rounds: number): number =>
  rounds === 0 ? 0 : new PrivacyAccount('zero-out', [{ event: GAUSSIAN, count: rounds }]).epsilon(1e-6).value;

describe('what is spent', () => {
  test('is the composition of what is reserved and committed, and nothing of what was released', () => {
    const ops = fc.array(
      fc.record({ kind: fc.constantFrom('reserve', 'commit', 'release'), number: fc.integer({ min: 1, max: 6 }) }),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(ops, (script) => {
        const counted = new Map<number, 'reserved' | 'spent'>();
        let ledger = ledgerOf([withTerms()]);
        for (const { kind, number } of script) {
          const entry: LedgerEntry =
            kind === 'reserve'
              ? reserve(number)
              : kind === 'commit'
                ? commit(number)
                : { kind: 'release', round: round(number), reason: 'quorum-not-met' };
          ledger = applyEntry(ledger, entry, 0);
          if (kind === 'reserve' && !counted.has(number)) counted.set(number, 'reserved');
          if (kind === 'commit' && counted.get(number) === 'reserved') counted.set(number, 'spent');
          if (kind === 'release' && counted.get(number) === 'reserved') counted.delete(number);
          // Twice is once.
          expect(applyEntry(ledger, entry, 0)).toEqual(ledger);
        }
        const spent = spentOf(ledger, NAME, 1)!;
        expect(spent).toMatchObject({ rounds: counted.size });
        expect(spent.epsilon).toBe(epsilonOf(counted.size));
      }),
      { numRuns: 300 },
    );
  });

  test('does not hang on the order of the rounds, to the bit', () => {
    const events: PrivacyEvent[] = [1, 2, 3, 2.5].map((noiseMultiplier) => ({ kind: 'gaussian', noiseMultiplier }));
    fc.assert(
      fc.property(fc.shuffledSubarray(events, { minLength: 4 }), (order) => {
        const ledger = ledgerOf([withTerms(), ...order.map((event, i) => reserve(i + 1, event))]);
        const sorted = ledgerOf([withTerms(), ...events.map((event, i) => reserve(i + 1, event))]);
        expect(spentOf(ledger, NAME, 1)!.epsilon).toBe(spentOf(sorted, NAME, 1)!.epsilon);
      }),
    );
  });

  test('leaves other budgets alone', () => {
    const ledger = ledgerOf([withTerms(), { kind: 'terms', budget: OTHER, terms: TERMS }, reserve(1)]);
    expect(spentOf(ledger, OTHER, 1)).toMatchObject({ epsilon: 0, rounds: 0, answer: null });
    expect(spentOf(ledger, parseBudgetId('nobody'), 1)).toBeUndefined();
  });

  test('counts a lost entry beside the round of its name', () => {
    const lost: LedgerEntry = { kind: 'lost', round: round(1), ...CHARGE, participants: clients };
    const ledger = ledgerOf([withTerms(), reserve(1), lost, commit(1)]);
    expect(spentOf(ledger, NAME, 1)).toMatchObject({ rounds: 2, epsilon: epsilonOf(2) });
  });

  test('forgets what is older than the window, and no sooner', () => {
    const start = ledgerOf([withTerms({ windowDays: 30 })]);
    const ledger = applyEntry(start, reserve(1), 1_000);
    expect(spentOf(ledger, NAME, 1_000 + 30 * DAY - 1)!.rounds).toBe(1);
    expect(spentOf(ledger, NAME, 1_000 + 30 * DAY)!.rounds).toBe(0);
  });

  test('is more by what the drawn noise is off, and everything when that is the whole delta', () => {
    const off = (totalVariation: number): number =>
      spentOf(ledgerOf([withTerms(), { ...reserve(1), totalVariation } as LedgerEntry]), NAME, 1)!.epsilon;
    expect(off(0)).toBe(epsilonOf(1));
    expect(off(1e-9)).toBeGreaterThan(epsilonOf(1));
    expect(off(1e-7)).toBe(Infinity);
  });

  test('is priced by Renyi bounds where parameters follow results', () => {
    const ledger = ledgerOf([withTerms({ mode: 'adaptive' }), reserve(1), reserve(2)]);
    expect(spentOf(ledger, NAME, 1)!.answer).toMatchObject({ engine: 'rdp' });
    expect(spentOf(ledger, NAME, 1)!.epsilon).toBeGreaterThan(epsilonOf(2));
  });
});

describe('against whoever knows who took part', () => {
  const view = withTerms({ view: 'server' });

  test('the rounds of the client that took part most count', () => {
    const [a, b, c] = clients as [ClientId, ClientId, ClientId];
    const entries = [view, ...[1, 2, 3, 4].map((number) => reserve(number))];
    const ledger = ledgerOf([...entries, commit(1, [a, b]), commit(2, [a, c]), commit(3, [b]), commit(4, [a])]);
    expect(spentOf(ledger, NAME, 1)).toMatchObject({ rounds: 3, epsilon: epsilonOf(3) });
  });

  test('a round whose cohort is not known yet may be anybody’s', () => {
    const [a, b] = clients as [ClientId, ClientId];
    const ledger = ledgerOf([view, reserve(1), commit(1, [a]), reserve(2), commit(2, [b]), reserve(3)]);
    expect(spentOf(ledger, NAME, 1)).toMatchObject({ rounds: 2 });
    expect(spentOf(ledgerOf([view, reserve(1)]), NAME, 1)).toMatchObject({ rounds: 1 });
  });

  test('it is the costliest history that counts, not the longest', () => {
    const [a, b] = clients as [ClientId, ClientId];
    const loud: PrivacyEvent = { kind: 'gaussian', noiseMultiplier: 0.5 };
    const ledger = ledgerOf([
      view,
      reserve(1),
      reserve(2),
      reserve(3, loud),
      commit(1, [a]),
      commit(2, [a]),
      commit(3, [b]),
    ]);
    expect(spentOf(ledger, NAME, 1)!.rounds).toBe(1);
    expect(spentOf(ledger, NAME, 1)!.epsilon).toBeGreaterThan(epsilonOf(2));
  });
});

describe('a reservation', () => {
  test('is granted up to the last round that fits, and refused from there on', () => {
    const ledger = ledgerOf([withTerms()]);
    const most = roundsLeft(ledger, NAME, CHARGE, 1, 1_000);
    expect(epsilonOf(most)).toBeLessThanOrEqual(4);
    expect(epsilonOf(most + 1)).toBeGreaterThan(4);
    let now = ledger;
    for (let number = 1; number <= most; number++) {
      const verdict = judgeReservation(now, round(number), CHARGE, 1);
      expect(verdict).toMatchObject({ kind: 'granted', after: [{ budget: NAME, rounds: number }] });
      now = applyEntry(now, reserve(number), 1);
      expect(roundsLeft(now, NAME, CHARGE, 1, 1_000)).toBe(most - number);
    }
    expect(judgeReservation(now, round(most + 1), CHARGE, 1)).toMatchObject({
      kind: 'refused',
      why: { kind: 'exhausted', budget: NAME, limit: 4, epsilon: epsilonOf(most + 1) },
    });
  });

  test('needs all of its budgets', () => {
    const ledger = ledgerOf([withTerms(), { kind: 'terms', budget: OTHER, terms: { ...TERMS, epsilon: 0.1 } }]);
    const both = { ...CHARGE, budgets: [NAME, OTHER] };
    expect(judgeReservation(ledger, round(1), both, 1)).toMatchObject({ why: { kind: 'exhausted', budget: OTHER } });
    const unknown = { ...CHARGE, budgets: [NAME, parseBudgetId('nobody')] };
    expect(judgeReservation(ledger, round(1), unknown, 1)).toMatchObject({
      why: { kind: 'unknown', budget: 'nobody' },
    });
  });

  test('of a round that is there already is refused: it would be charged once for twice', () => {
    const ledger = ledgerOf([withTerms(), reserve(1)]);
    expect(judgeReservation(ledger, round(1), CHARGE, 1)).toMatchObject({ why: { kind: 'repeated' } });
    expect(judgeReservation(ledgerOf([commit(1)], ledger), round(1), CHARGE, 1)).toMatchObject({ kind: 'refused' });
  });

  test('that costs the whole delta is refused', () => {
    const ledger = ledgerOf([withTerms({ epsilon: 9_999 })]);
    expect(judgeReservation(ledger, round(1), { ...CHARGE, totalVariation: 1 }, 1)).toMatchObject({ kind: 'refused' });
  });
});

describe('a charge that has no price in the view of the server', () => {
  const central: RoundCharge = { ...CHARGE, server: null };

  test('is refused by a budget of that view, and taken by one of the other', () => {
    const ledger = ledgerOf([withTerms(), { kind: 'terms', budget: OTHER, terms: { ...TERMS, view: 'server' } }]);
    expect(judgeReservation(ledger, round(1), central, 0)).toMatchObject({ kind: 'granted' });
    const both = { ...central, budgets: [NAME, OTHER] };
    expect(judgeReservation(ledger, round(1), both, 0)).toEqual({
      kind: 'refused',
      why: { kind: 'unprotected', budget: OTHER },
    });
  });

  test('stands at infinity in one that was charged all the same', () => {
    const entries: LedgerEntry[] = [withTerms({ view: 'server' }), { kind: 'reserve', round: round(1), ...central }];
    expect(spentOf(ledgerOf(entries), NAME, 1)).toMatchObject({ epsilon: Infinity, rounds: 1 });
    expect(spentOf(ledgerOf([...entries, commit(1)]), NAME, 1)).toMatchObject({ epsilon: Infinity });
  });

  test('and one with a price of its own there is charged that', () => {
    const dearer: RoundCharge = {
      ...CHARGE,
      server: { event: { kind: 'gaussian', noiseMultiplier: 1 }, totalVariation: 0 },
    };
    const entry: LedgerEntry = { kind: 'reserve', round: round(1), ...dearer };
    const epsilon = (view: BudgetTerms['view']): number =>
      spentOf(ledgerOf([withTerms({ view }), entry]), NAME, 1)!.epsilon;
    expect(epsilon('model')).toBe(epsilonOf(1));
    expect(epsilon('server')).toBeGreaterThan(1.9 * epsilon('model'));
    expect(applyEntry(EMPTY_LEDGER, { ...entry, kind: 'lost', participants: null }, 0).lost[0]).toMatchObject(dearer);
  });
});

describe('a charge that covers all rounds of a task', () => {
  const covering: RoundCharge = { ...CHARGE, covers: parseTaskId('t') };
  const covered = (number: number): LedgerEntry => ({ kind: 'reserve', round: round(number), ...covering });
  const epsilon = (entries: readonly LedgerEntry[], now = 1): number =>
    spentOf(ledgerOf([withTerms(), ...entries]), NAME, now)!.epsilon;

  test('counts once, from the first reservation on, and other charges beside it', () => {
    const entries = [covered(1), commit(1), covered(2), commit(2), covered(3)];
    for (let count = 1; count <= entries.length; count++) expect(epsilon(entries.slice(0, count))).toBe(epsilonOf(1));
    expect(epsilon([...entries, reserve(9)])).toBe(epsilonOf(2));
    const other: LedgerEntry = { kind: 'reserve', round: round(8), ...covering, covers: parseTaskId('u') };
    expect(epsilon([...entries, other])).toBe(epsilonOf(2));
  });

  test('is given back only when every round of it was', () => {
    const release = (number: number): LedgerEntry => ({
      kind: 'release',
      round: round(number),
      reason: 'quorum-not-met',
    });
    expect(epsilon([covered(1), release(1)])).toBe(0);
    expect(epsilon([covered(1), release(1), covered(2)])).toBe(epsilonOf(1));
    expect(epsilon([covered(1), commit(1), covered(2), release(2)])).toBe(epsilonOf(1));
  });

  test('counts again for what got lost, which may have been released twice', () => {
    const lost: LedgerEntry = { kind: 'lost', round: round(1), ...covering, participants: null };
    expect(epsilon([covered(1), lost, commit(1), covered(2)])).toBe(epsilonOf(2));
    expect(epsilon([covered(1), lost, lost])).toBe(epsilonOf(3));
  });

  test('counts as long as any round of it is in the window', () => {
    const at = (days: number, entry: LedgerEntry, ledger: Ledger): Ledger => applyEntry(ledger, entry, days * DAY);
    let ledger = at(0, withTerms({ windowDays: 10 }), EMPTY_LEDGER);
    ledger = at(1, covered(1), ledger);
    ledger = at(8, covered(2), ledger);
    expect(spentOf(ledger, NAME, 17 * DAY)!.epsilon).toBe(epsilonOf(1));
    expect(spentOf(ledger, NAME, 18.5 * DAY)!.epsilon).toBe(0);
  });

  test('leaves room for its rounds however many', () => {
    const ledger = ledgerOf([withTerms({ epsilon: epsilonOf(1) }), covered(1), commit(1)]);
    expect(judgeReservation(ledger, round(2), covering, 1)).toMatchObject({ kind: 'granted' });
    expect(judgeReservation(ledger, round(2), CHARGE, 1)).toMatchObject({ kind: 'refused' });
    expect(roundsLeft(ledger, NAME, covering, 1, 50)).toBe(50);
  });
});

test('the part of the ledger that budgets see has all that they count, and names nobody where nobody counts', () => {
  const number = fc.integer({ min: 1, max: 6 });
  const entries = fc.array(
    fc.oneof(
      fc
        .tuple(number, fc.subarray([NAME, OTHER]))
        .map(([at, budgets]): LedgerEntry => ({ kind: 'reserve', round: round(at), ...CHARGE, budgets })),
      fc.tuple(number, fc.subarray(clients)).map(([at, participants]) => commit(at, participants)),
      fc
        .subarray([NAME, OTHER])
        .map((budgets): LedgerEntry => ({ kind: 'lost', round: round(9), ...CHARGE, budgets, participants: clients })),
    ),
    { maxLength: 12 },
  );
  const OTHERS: LedgerEntry = { kind: 'terms', budget: OTHER, terms: { ...TERMS, view: 'server' } };
  fc.assert(
    fc.property(entries, fc.subarray([NAME, OTHER]), (script, named) => {
      const whole = ledgerOf([withTerms(), OTHERS, ...script]);
      const part = partFor(whole, named);
      for (const budget of [NAME, OTHER])
        expect(spentOf(part, budget, 20)).toEqual(named.includes(budget) ? spentOf(whole, budget, 20) : undefined);
      const kept = [...part.rounds.values(), ...part.lost];
      if (!named.includes(OTHER)) expect(kept.every(({ participants }) => participants === null)).toBe(true);
      expect(kept.every(({ budgets }) => budgets.some((budget) => named.includes(budget)))).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('terms of a budget that was charged change in epsilon alone, or to adaptive', () => {
  const free = ledgerOf([withTerms()]);
  const charged = ledgerOf([withTerms(), reserve(1)]);
  const lost = ledgerOf([withTerms(), { kind: 'lost', round: round(1), ...CHARGE, participants: null }]);
  const changes: [Partial<BudgetTerms>, boolean][] = [
    [{ epsilon: 1 }, true],
    [{ epsilon: 100 }, true],
    [{ mode: 'adaptive' }, true],
    [{ delta: 1e-5 }, false],
    [{ relation: 'replace-one' }, false],
    [{ view: 'server' }, false],
    [{ windowDays: 1 }, false],
  ];
  for (const [change, may] of changes) {
    const terms = { ...TERMS, ...change };
    expect(mayReplace(free, NAME, terms)).toBe(true);
    for (const ledger of [charged, lost]) expect(mayReplace(ledger, NAME, terms), JSON.stringify(change)).toBe(may);
  }
  const adaptive = ledgerOf([withTerms({ mode: 'adaptive' }), reserve(1)]);
  expect(mayReplace(adaptive, NAME, TERMS)).toBe(false);
});
