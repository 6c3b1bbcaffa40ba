import type { Command } from 'commander';
import { formatTime, sheet, table } from '../format.ts';
import { operatorVerb } from '../operator-verb.ts';
import type { Io } from '../io.ts';
import type { BudgetAnswer, LedgerAnswer } from '../privacy-audit.ts';

interface SetFlags {
  readonly epsilon: string;
  readonly delta: string;
  readonly relation?: string;
  readonly view?: string;
  readonly mode?: string;
  readonly windowDays?: string;
}

export function addBudgetVerbs(program: Command, io: Io): void {
  const budget = program
    .command('budget')
    .description('What rounds may tell about any one client, counted in a ledger that stops them (docs/privacy.md)');
  budget.addCommand(
    operatorVerb<SetFlags>(
      'set <budget>',
      'Set a budget; once it was charged only its epsilon may change',
      io,
      async (calls, [name = ''], flags) => {
        const { epsilon, delta, relation, view, mode, windowDays } = flags;
        const answer = await calls.put<BudgetAnswer>(`/v1/budgets/${encodeURIComponent(name)}`, {
          epsilon: Number(epsilon),
          delta: Number(delta),
          ...(relation && { relation }),
          ...(view && { view }),
          ...(mode && { mode }),
          ...(windowDays && { windowDays: Number(windowDays) }),
        });
        io.output.result(answer, () => budgetText(answer));
      },
    )
      .requiredOption('--epsilon <number>', 'what may be spent')
      .requiredOption('--delta <number>', 'probability that the guarantee may fail with; below 1 / clients')
      .option('--relation <relation>', 'zero-out (a client contributes nothing instead) or replace-one')
      .option('--view <view>', 'model: against whoever sees models; server: against whoever knows who took part')
      .option('--mode <mode>', 'planned, or adaptive when parameters follow results')
      .option('--window-days <days>', 'rounds that are older do not count'),
  );
  budget.addCommand(
    operatorVerb('list', 'All budgets, and what they stand at', io, async (calls) => {
      const answer = await calls.get<{ budgets: BudgetAnswer[] }>('/v1/budgets');
      io.output.result(answer, () =>
        table(
          ['BUDGET', 'SPENT', 'OF', 'DELTA', 'VIEW', 'RELATION', 'MODE', 'ROUNDS'],
          answer.budgets.map(({ budget: name, spent, epsilon, delta, view, relation, mode, rounds }) => [
            name,
            spent === null ? 'all' : spent.toFixed(4),
            String(epsilon),
            String(delta),
            view,
            relation,
            mode,
            String(rounds),
          ]),
        ),
      );
    }),
  );
  budget.addCommand(
    operatorVerb('show <budget>', 'One budget', io, async (calls, [name = '']) => {
      const answer = await calls.get<BudgetAnswer>(`/v1/budgets/${encodeURIComponent(name)}`);
      io.output.result(answer, () => budgetText(answer));
    }),
  );
  budget.addCommand(
    operatorVerb(
      'forecast <task>',
      'How many more rounds of a task its budgets hold',
      io,
      async (calls, [task = '']) => {
        const answer = await calls.get<{ budgets: { budget: string; roundsLeft: number }[] }>(
          `/v1/tasks/${encodeURIComponent(task)}/forecast`,
        );
        io.output.result(answer, () =>
          answer.budgets.length === 0
            ? `${task} adds no noise: no budget is charged for it`
            : table(
                ['BUDGET', 'MORE ROUNDS'],
                answer.budgets.map((of) => [of.budget, String(of.roundsLeft)]),
              ),
        );
      },
    ),
  );
  budget.addCommand(
    operatorVerb(
      'ledger',
      'Every entry of the ledger; with --json what `carapace audit privacy` reads',
      io,
      async (calls) => {
        const { readLedger } = await import('../privacy-audit.ts');
        const answer: LedgerAnswer = { entries: await readLedger(calls) };
        io.output.result(answer, () =>
          table(
            ['ENTRY', 'AT', 'BY', 'WHAT'],
            answer.entries.map(({ sequence, at, actor, entry }) => [
              String(sequence),
              formatTime(at),
              actor,
              entry.slice(0, 100),
            ]),
          ),
        );
      },
    ),
  );
  budget.addCommand(
    operatorVerb(
      'accept-ledger',
      'Go on with a ledger that a restored backup has shortened: what was spent since is not counted any more, and you answer for it',
      io,
      async (calls) => {
        const answer = await calls.post<{ entries: number }>('/v1/ledger/accept');
        io.output.result(answer, () => `the ledger goes on after entry ${answer.entries}`);
      },
    ),
  );
}

function budgetText({
  budget,
  spent,
  epsilon,
  delta,
  view,
  relation,
  mode,
  rounds,
  windowDays,
  method,
}: BudgetAnswer): string {
  return sheet([
    ['budget', budget],
    ['spent', `epsilon ${spent === null ? 'all' : spent.toFixed(6)} of ${epsilon}, at delta ${delta}`],
    ['rounds', `${rounds}${view === 'server' ? ', of the client that took part most' : ''}`],
    ['against', view === 'server' ? 'whoever knows who took part' : 'whoever sees the models'],
    ['neighbours', relation],
    ['parameters', mode],
    ['window', windowDays === null ? 'everything counts' : `${windowDays} days`],
    ['proved by', method ?? 'nothing is spent'],
  ]);
}
