/** The clients of `carapace up`: processes like those on mini-hosts, each with a state directory and a share of the data. */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { startMember, stopMembers } from './member-process.ts';
import type { MemberEnd } from './member-process.ts';

export interface ClientProcessOptions {
  /** From 1 on. */
  readonly number: number;
  readonly joinLink: string;
  readonly data: string;
  readonly stateDirectory: string;
  /** Key of the second aggregator, where there is one. */
  readonly aggregator: string | null;
}

export interface Ended extends MemberEnd {
  readonly number: number;
}

export class ClientProcesses {
  readonly #children = new Map<number, ChildProcess>();
  readonly #onEvent: (number: number, event: Record<string, unknown>) => void;
  readonly #onEnd: (ended: Ended) => void;
  #stopping = false;

  constructor(onEvent: (number: number, event: Record<string, unknown>) => void, onEnd: (ended: Ended) => void) {
    this.#onEvent = onEvent;
    this.#onEnd = onEnd;
  }

  get running(): number {
    return this.#children.size;
  }

  start({ number, joinLink, data, stateDirectory, aggregator }: ClientProcessOptions): void {
    const name = `client-${number}`;
    const pin = aggregator === null ? [] : ['--aggregator', aggregator];
    const child = startMember({
      args: ['client', '--name', name, '--data', data, '--state', join(stateDirectory, name), ...pin],
      joinLink,
      onEvent: (event) => this.#onEvent(number, event),
      onEnd: (end) => {
        this.#children.delete(number);
        if (!this.#stopping) this.#onEnd({ number, ...end });
      },
    });
    this.#children.set(number, child);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await stopMembers([...this.#children.values()]);
  }
}
