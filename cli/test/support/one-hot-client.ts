/** A client process of the fault tests: `node one-hot-client.ts <state> <index> <pause ms>`, the join link in CARAPACE_JOIN; tells its events as JSON. */
import { setTimeout as sleep } from 'node:timers/promises';
import { FederatedClient } from '@carapace/client-sdk';
import { oneHotTrainer } from './one-hot.ts';

const [stateDirectory = '', index = '0', pauseMs = '0'] = process.argv.slice(2);
const controller = new AbortController();
const stop = (): void => controller.abort();
process.on('SIGTERM', stop);
// The test that started it has gone, however it went.
process.on('disconnect', stop);
const joinLink = process.env['CARAPACE_JOIN'];
const client = new FederatedClient({
  stateDirectory,
  ...(joinLink === undefined ? {} : { joinLink }),
  name: `client-${index}`,
  train: oneHotTrainer(Number(index), () => sleep(Math.max(0, Number(pauseMs)))),
  onEvent: (event) => {
    if (process.connected) process.send?.(event);
    // Before the call that follows: the update is journalled, nothing of it is sent.
    if (event.kind === 'uploading' && Number(pauseMs) < 0) process.kill(process.pid, 'SIGKILL');
  },
});
await client.run(controller.signal);
process.disconnect();
