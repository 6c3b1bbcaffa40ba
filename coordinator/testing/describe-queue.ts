/** Every promise of the port `JobQueue`: one suite for every backend that stands behind it. */
import { afterAll, beforeAll, describe } from 'vitest';
import type { QueueBackend } from './queue/backend.ts';
import { describeClosing } from './queue/closing.ts';
import { describeJobs } from './queue/jobs.ts';
import { describeSchedules } from './queue/schedules.ts';
import { describeSurvival } from './queue/survival.ts';

/** @param missing why this backend cannot be tested here: announced in place of the suite */
export function describeQueue(name: string, open: () => Promise<QueueBackend>, missing: string | null = null): void {
  describe.skipIf(missing !== null)(missing === null ? name : `${name} — skipped: ${missing}`, () => {
    let opened: QueueBackend | null = null;
    beforeAll(async () => {
      opened = await open();
    });
    afterAll(() => opened?.close());
    const backend = (): QueueBackend => {
      if (opened === null) throw new Error('the backend did not open');
      return opened;
    };
    for (const part of [describeJobs, describeSchedules, describeSurvival]) part(backend);
    describeClosing(backend, open);
  });
}
