/** `carapace privacy check`: one line an entry, then how many agree. */
import { checkReferences } from '@carapace/aggregation';
import { CliError } from './errors.ts';
import type { Output } from './output.ts';
import { readJsonFile } from './privacy-charges.ts';

/** @throws CliError `FILE_UNREADABLE`, and `RUN_FAILED` when an entry that was computed does not agree */
export function checkFile(file: string, output: Output): void {
  const results = checkReferences(readJsonFile(file));
  for (const { id, expected, got, ok, unsupported } of results) {
    output.object({ id, expected, got, ok, unsupported });
    const verdict = ok ? 'ok          ' : unsupported === null ? 'WRONG       ' : 'unsupported ';
    output.line(`${verdict}${id}  ${unsupported ?? `expected ${expected}, got ${String(got)}`}`);
  }
  const agreeing = results.filter(({ ok }) => ok).length;
  const unsupported = results.filter((result) => result.unsupported !== null).length;
  const wrong = results.length - agreeing - unsupported;
  output.line(`${agreeing} of ${results.length} agree, ${wrong} do not, ${unsupported} are not supported`);
  if (wrong > 0) throw new CliError('RUN_FAILED', `${wrong} entries do not agree`);
}
