/**
 * `npm test [-- <vitest arguments>]`: both projects of vitest.config.ts, the pure one first; then what was skipped and why, then one line of
 * counts. A test that is skipped without a reason counts as failed: nobody would know what was not tested.
 */
import { writeSync } from 'node:fs';
import { parseCLI, startVitest } from 'vitest/node';
import type { Reporter } from 'vitest/node';
import { countsLine, isGreen, skipLines, tally } from './test-tally.ts';
import type { Tally } from './test-tally.ts';

const { filter, options } = parseCLI(['vitest', 'run', ...process.argv.slice(2)]);
const results: Tally[] = [];
const gather: Reporter = {
  onTestRunEnd: (modules, unhandledErrors) => {
    // With a name pattern everything else is skipped, which needs no reason.
    results.push(tally(modules, unhandledErrors.length, { reasons: options.testNamePattern === undefined }));
  },
};

const vitest = await startVitest(filter, { ...options, watch: false, reporters: ['default', gather] });
await vitest.close();
const counted = results.at(-1) ?? { passed: 0, failed: 0, skipped: [], unreasoned: [] };
const lines = [...skipLines(counted), countsLine(counted)];
writeSync(1, `\n${lines.join('\n')}\n`);
// vitest's own verdict counts too: it knows of a run that found no test, or that did not end by itself.
process.exit(isGreen(counted) && (process.exitCode ?? 0) === 0 ? 0 : 1);
