/** A client process: `node seeded-client.ts <state> <index> <ignored>`, the join link in CARAPACE_JOIN; tells its events to its parent. */
import { FederatedClient } from '@carapace/client-sdk';
import { seededExamples, seededUpdate } from './seeded-update.ts';

const [stateDirectory = '', index = '0'] = process.argv.slice(2);
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
  train: async ({ weights, assignment }) => {
    const update = seededUpdate(Number(index), assignment.round, weights.length);
    return {
      weights: update.map((value, i) => value + weights[i]!),
      examples: seededExamples(Number(index)),
      metrics: {},
    };
  },
  onEvent: (event) => {
    if (process.connected) process.send?.(event);
  },
});
await client.run(controller.signal);
process.disconnect();
