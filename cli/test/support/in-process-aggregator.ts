/** A second aggregator in this process: real HTTP, a real state directory. */
import type { ClientId } from '@carapace/aggregation';
import { formatJoinLink, ShareAggregator } from '@carapace/client-sdk';
import type { AggregatorEvent } from '@carapace/client-sdk';
import type { OperatorCalls } from '../../src/operator-calls.ts';
import { within } from './within.ts';

export async function startAggregator(
  calls: OperatorCalls,
  stateDirectory: string,
  signal: AbortSignal,
  onEvent: (event: AggregatorEvent) => void = () => undefined,
): Promise<{ readonly client: ClientId; readonly key: string; readonly run: Promise<void> }> {
  const { token } = await calls.post<{ token: string }>('/v1/tokens', { site: 'test' });
  const ready = Promise.withResolvers<{ client: ClientId; key: string }>();
  const aggregator = new ShareAggregator({
    stateDirectory,
    joinLink: formatJoinLink(calls.url, token),
    onEvent: (event) => {
      if (event.kind === 'ready') ready.resolve(event);
      onEvent(event);
    },
  });
  const run = aggregator.run(signal);
  run.catch(ready.reject);
  const { client, key } = await within(30_000, 'the aggregator is ready', ready.promise);
  return { client, key, run };
}
