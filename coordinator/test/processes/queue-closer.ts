/** Works on the queue of the Redis in argv[2], closes it at SIGTERM, and ends by itself. Says `working`, `closed`, or the code of an error. */
import { writeSync } from 'node:fs';
import { openQueue } from '../../src/adapters/queue/bullmq.ts';
import { CoordinatorError } from '../../src/errors.ts';

const say = (line: string): void => void writeSync(1, `${line}\n`);
const work = (): Promise<void> => Promise.resolve();

const queue = await openQueue({ kind: 'redis', url: process.argv[2] ?? '' }, () => undefined);
const close = async (): Promise<void> => {
  await queue.close(1_000);
  clearInterval(alive);
  say('closed');
};
const alive = setInterval(() => undefined, 1_000);
process.once('SIGTERM', () => void close());
try {
  await queue.work({ 'open-round': work, 'step-round': work, aggregate: work, evaluate: work });
  say('working');
} catch (error) {
  say(error instanceof CoordinatorError ? error.code : String(error));
  await close();
}
