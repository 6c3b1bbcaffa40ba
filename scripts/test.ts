/**
 * `npm test [-- <vitest arguments>]`: both projects of vitest.config.ts, the pure one first; then what was skipped and why, then one line of
 * counts. A test that is skipped without a reason counts as failed: nobody would know what was not tested. A file whose process V8 ended
 * (`aborted-files.ts`) is run once more, and that is said: a test that fails fails.
 */
import { writeSync } from 'node:fs';
import { parseCLI, startVitest } from 'vitest/node';
import type { Reporter } from 'vitest/node';
import { abortedFiles } from './aborted-files.ts';
import { countsLine, isGreen, skipLines, sum, tally } from './test-tally.ts';
import type { Tally } from './test-tally.ts';

/** More than one or two is no accident. */
const MOST_ABORTED = 2;
const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);
// With a name pattern everything else is skipped, which needs no reason.
const reasons = options.testNamePattern === undefined;

interface Run {
  readonly counted: Tally;
  readonly aborted: readonly string[];
  readonly green: boolean;
}

async function run(files: readonly string[]): Promise<Run> {
  let aborted: string[] = [];
  let counted: Tally = { passed: 0, failed: 0, skipped: [], unreasoned: [] };
  const gather: Reporter = {
    onTestRunEnd: (modules, unhandledErrors) => {
      aborted = abortedFiles(unhandledErrors);
      if (aborted.length > MOST_ABORTED) aborted = [];
      const whole = modules.filter(({ moduleId }) => !aborted.includes(moduleId));
      counted = tally(whole, unhandledErrors.length - aborted.length, { reasons });
    },
  };
  process.exitCode = 0;
  const vitest = await startVitest([...files], { ...options, watch: false, reporters: ['default', gather] });
  await vitest.close();
  // vitest's own verdict counts too: it knows of a run that found no test, or that did not end by itself.
  const clean = process.exitCode === 0 || aborted.length > 0;
  return { counted, aborted, green: isGreen(counted) && clean };
}

const first = await run(filter);
let { counted, green } = first;
if (first.aborted.length > 0) {
  writeSync(1, `\nV8 ended the process of a file, which is run once more: ${first.aborted.join(', ')}\n`);
  const second = await run(first.aborted);
  counted = sum(first.counted, second.counted);
  // What aborts twice has not been tested.
  if (second.aborted.length > 0) counted = { ...counted, failed: counted.failed + second.aborted.length };
  green = counted.failed === 0 && second.green;
}
writeSync(1, `\n${[...skipLines(counted), countsLine(counted)].join('\n')}\n`);
process.exit(green ? 0 : 1);
