/** The second aggregator of `carapace up --protection shares`: a process that elsewhere is somebody else's. */
import type { ChildProcess } from 'node:child_process';
import { parseClientId } from '@carapace/aggregation';
import type { ClientId } from '@carapace/aggregation';
import { CliError } from '../errors.ts';
import { startMember, stopMembers } from './member-process.ts';

const READY_MS = 60_000;

export interface AggregatorIdentity {
  readonly client: ClientId;
  /** What clients pin. */
  readonly key: string;
}

export class AggregatorProcess {
  readonly #onEnd: (lastWords: string) => void;
  #child: ChildProcess | null = null;
  #stopping = false;

  constructor(onEnd: (lastWords: string) => void) {
    this.#onEnd = onEnd;
  }

  /** Resolves when it has joined and waits for rounds. @throws CliError `RUN_FAILED` */
  async start(options: { readonly joinLink: string; readonly stateDirectory: string }): Promise<AggregatorIdentity> {
    const ready = Promise.withResolvers<AggregatorIdentity>();
    const timer = setTimeout(
      () => ready.reject(new CliError('RUN_FAILED', `the aggregator was not ready after ${READY_MS / 1000} s`)),
      READY_MS,
    );
    this.#child = startMember({
      args: ['aggregator', '--state', options.stateDirectory],
      joinLink: options.joinLink,
      onEvent: ({ event, client, key }) => {
        if (event === 'ready') ready.resolve({ client: parseClientId(String(client)), key: String(key) });
      },
      onEnd: ({ how, lastWords }) => {
        this.#child = null;
        if (this.#stopping) return;
        ready.reject(new CliError('RUN_FAILED', `the aggregator has ended: ${lastWords || how}`));
        this.#onEnd(lastWords || how);
      },
    });
    return ready.promise.finally(() => clearTimeout(timer));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#child !== null) await stopMembers([this.#child]);
  }
}
