/** Every promise of the port `JobQueue`, as laws: one suite for every backend that stands behind it. */
import { describe } from 'vitest';
import { benchOf } from './queue/bench.ts';
import { describeClosing } from './queue/closing.ts';
import { describeHealth } from './queue/health.ts';
import { describeJobs } from './queue/jobs.ts';
import { describeKeys } from './queue/keys.ts';
import { describeSchedules } from './queue/schedules.ts';
import { describeSharing } from './queue/sharing.ts';
import type { TestBackend } from './test-queue.ts';

/**
 * @param open an empty backend, for one test
 * @param missing why this backend cannot be tested here: announced in place of the suite
 */
export function describeQueue(name: string, open: () => Promise<TestBackend>, missing: string | null = null): void {
  describe.skipIf(missing !== null)(missing === null ? name : `${name} — skipped: ${missing}`, () => {
    const bench = benchOf(open);
    const parts = [describeJobs, describeKeys, describeSchedules, describeSharing, describeClosing, describeHealth];
    for (const part of parts) part(bench);
  });
}
