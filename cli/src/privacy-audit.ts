/** `carapace audit privacy`: every charge recomputed from the ledger alone, without the coordinator and without its word. */
import { readPrivacyLedger } from '@carapace/coordinator';
import type { LedgerRecord } from '@carapace/coordinator';
import { CliError } from './errors.ts';
import { readTextFile } from './local-files.ts';
import type { OperatorCalls } from './operator-calls.ts';

export interface BudgetAnswer {
  readonly budget: string;
  readonly epsilon: number;
  readonly delta: number;
  readonly relation: string;
  readonly view: string;
  readonly mode: string;
  readonly windowDays: number | null;
  /** Null when the noise as it is drawn costs the whole delta. */
  readonly spent: number | null;
  readonly left: number;
  readonly rounds: number;
  readonly method: string | null;
}

export interface LedgerAnswer {
  readonly entries: readonly LedgerRecord[];
}

const PAGE = 1_000;

export async function readLedger(calls: OperatorCalls): Promise<LedgerRecord[]> {
  const entries: LedgerRecord[] = [];
  for (;;) {
    const after = entries.at(-1)?.sequence ?? 0;
    const page = await calls.get<LedgerAnswer>(`/v1/ledger?after=${after}&limit=${PAGE}`);
    entries.push(...page.entries);
    if (page.entries.length < PAGE) return entries;
  }
}

/** @throws CliError `FILE_UNREADABLE` */
export function readLedgerFile(file: string): LedgerRecord[] {
  const text = readTextFile(file);
  try {
    return [...(JSON.parse(text) as LedgerAnswer).entries];
  } catch (cause) {
    throw new CliError('FILE_UNREADABLE', `${file} is not what \`carapace budget ledger --json\` printed`, { cause });
  }
}

export interface Audited {
  readonly entries: number;
  readonly chain: 'whole' | 'broken';
  /** Of the last entry: equal to the coordinator's, or it shows different ledgers to different people. */
  readonly head: string | null;
  readonly budgets: readonly {
    readonly budget: string;
    readonly recomputed: number;
    readonly claimed: number | null;
    readonly match: boolean;
  }[];
}

/** @param claimed what the coordinator says its budgets stand at; null offline */
export function auditLedger(
  entries: readonly LedgerRecord[],
  now: number,
  claimed: readonly Pick<BudgetAnswer, 'budget' | 'spent'>[] | null,
): Audited {
  const { chain, budgets } = readPrivacyLedger(entries, now);
  return {
    entries: entries.length,
    chain,
    head: entries.at(-1)?.hash ?? null,
    budgets: budgets.map(({ budget, epsilon }) => {
      const said = claimed?.find((answer) => answer.budget === budget)?.spent ?? null;
      // The same engine on the same entries: equal to the last bit.
      return {
        budget,
        recomputed: epsilon,
        claimed: said,
        match: chain === 'whole' && (claimed === null || said === epsilon),
      };
    }),
  };
}
