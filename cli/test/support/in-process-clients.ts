/** Clients in this process, one-hot ones if nothing else is asked for: real HTTP, real state directories, one event loop. */
import { join } from 'node:path';
import { FederatedClient, formatJoinLink } from '@carapace/client-sdk';
import type { ClientEvent, FederatedClientOptions, LocalTrainer } from '@carapace/client-sdk';
import type { OperatorCalls } from '../../src/operator-calls.ts';
import { oneHotTrainer } from './one-hot.ts';
import { within } from './within.ts';

export interface InProcessClients {
  readonly states: readonly string[];
  stop(): Promise<void>;
}

export async function runClients(
  calls: OperatorCalls,
  {
    count,
    directory,
    pause = () => Promise.resolve(),
    trainer = (index) => oneHotTrainer(index, pause),
    options = {},
  }: {
    readonly count: number;
    readonly directory: string;
    readonly pause?: () => Promise<void>;
    readonly trainer?: (index: number) => LocalTrainer;
    readonly options?: Partial<FederatedClientOptions>;
  },
  onEvent: (index: number, event: ClientEvent) => void,
): Promise<InProcessClients> {
  const controller = new AbortController();
  const states = Array.from({ length: count }, (_value, index) => join(directory, `client-${index}`));
  const runs: Promise<void>[] = [];
  for (const [index, stateDirectory] of states.entries()) {
    const { token } = await calls.post<{ token: string }>('/v1/tokens', { site: 'test' });
    const client = new FederatedClient({
      stateDirectory,
      joinLink: formatJoinLink(calls.url, token),
      train: trainer(index),
      onEvent: (event) => onEvent(index, event),
      ...options,
    });
    runs.push(client.run(controller.signal));
  }
  return {
    states,
    stop: async () => {
      controller.abort();
      await within(30_000, 'the clients end', Promise.all(runs));
    },
  };
}
