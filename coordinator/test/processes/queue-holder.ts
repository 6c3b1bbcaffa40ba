/** Opens the queue of the location in argv[2], takes the job keyed `held` and never lets it go. Says `holding`, or the code of an error. */
import { writeSync } from 'node:fs';
import { parseRoundId } from '@carapace/aggregation';
import { openQueue } from '../../src/adapters/queue/bullmq.ts';
import { openStore } from '../../src/adapters/store/open-store.ts';
import type { StoreLocation } from '../../src/adapters/store/open-store.ts';

const say = (line: string): void => void writeSync(1, `${line}\n`);
const location = JSON.parse(process.argv[2] ?? '') as StoreLocation | { readonly kind: 'redis'; readonly url: string };
const onError = (error: unknown): void => say(String(error));

const queue = await openQueue(
  location.kind === 'redis'
    ? location
    : { kind: 'postgres', pool: (await openStore(location, onError)).pool, alone: location.kind === 'embedded' },
  onError,
);
const hold = (): Promise<never> => {
  say('holding');
  return new Promise(() => undefined);
};
await queue.work({ 'open-round': hold, 'step-round': hold, aggregate: hold, evaluate: hold });
await queue.add({ kind: 'step-round', round: parseRoundId('held.1').id }, { key: 'held' });
