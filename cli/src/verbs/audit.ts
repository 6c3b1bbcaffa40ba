import type { Command } from 'commander';
import { sheet, table } from '../format.ts';
import { CliError } from '../errors.ts';
import { operatorVerb } from '../operator-verb.ts';
import type { Io } from '../io.ts';
import type { Audited, BudgetAnswer } from '../privacy-audit.ts';

export function addAuditVerbs(program: Command, io: Io): void {
  const audit = program.command('audit').description('Recompute what a coordinator claims');
  audit.addCommand(
    operatorVerb<{ readonly file?: string }>(
      'privacy',
      'Recompute every charge and every budget from the privacy ledger, and compare',
      io,
      async (calls, _args, { file }) => {
        const { auditLedger, readLedger, readLedgerFile } = await import('../privacy-audit.ts');
        const audited =
          file === undefined
            ? auditLedger(
                await readLedger(calls),
                Date.now(),
                (await calls.get<{ budgets: BudgetAnswer[] }>('/v1/budgets')).budgets,
              )
            : auditLedger(readLedgerFile(file), Date.now(), null);
        io.output.result(audited, () => auditText(audited));
        if (audited.chain === 'broken' || audited.budgets.some(({ match }) => !match))
          throw new CliError('RUN_FAILED', 'the privacy ledger does not hold what is claimed');
      },
    ).option('--file <file>', 'what `carapace budget ledger --json` printed, instead of a coordinator'),
  );
}

function auditText({ entries, chain, head, budgets }: Audited): string {
  const rows = budgets.map(({ budget, recomputed, claimed, match }) => [
    budget,
    recomputed.toFixed(6),
    claimed === null ? '-' : claimed.toFixed(6),
    match ? 'match' : 'MISMATCH',
  ]);
  const about = sheet([
    ['entries', String(entries)],
    ['chain', chain],
    ['last hash', head ?? '-'],
  ]);
  return [about, '', table(['BUDGET', 'RECOMPUTED', 'CLAIMED', ''], rows)].join('\n');
}
