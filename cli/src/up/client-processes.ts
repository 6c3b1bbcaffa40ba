/** The clients of `carapace up`: processes like those on mini-hosts, each with a state directory and a share of the data. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../bin/carapace.mjs', import.meta.url));
/** Training may take what the coordinator leaves. */
const NICENESS = 10;
const STOP_MS = 2_500;

export interface ClientProcessOptions {
  /** From 1 on. */
  readonly number: number;
  readonly joinLink: string;
  readonly data: string;
  readonly stateDirectory: string;
}

export interface Ended {
  readonly number: number;
  readonly how: string;
  /** The last thing it said on stderr. */
  readonly lastWords: string;
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

  start({ number, joinLink, data, stateDirectory }: ClientProcessOptions): void {
    const args = [COMMAND, 'client', '--name', `client-${number}`, '--data', data];
    const child = spawn(process.execPath, [...args, '--state', join(stateDirectory, `client-${number}`), '--json'], {
      // The link is a secret: it is not among the arguments, which every user of the host can list.
      env: { ...process.env, CARAPACE_JOIN: joinLink },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A group of its own: a terminal's Ctrl-C reaches the parent, which ends its clients in order.
      detached: true,
    });
    this.#children.set(number, child);
    if (child.pid !== undefined) lowerPriority(child.pid);
    let lastWords = '';
    lines(child.stdout, (line) => this.#onEvent(number, JSON.parse(line) as Record<string, unknown>));
    lines(child.stderr, (line) => (lastWords = line));
    child.on('error', (error) => (lastWords = error.message));
    child.on('close', (code, signal) => {
      this.#children.delete(number);
      if (this.#stopping) return;
      this.#onEnd({ number, how: signal === null ? `exit code ${code}` : signal, lastWords });
    });
  }

  /** Asks, waits, then insists. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const children = [...this.#children.values()];
    const gone = Promise.all(children.map((child) => new Promise((resolve) => child.once('close', resolve))));
    for (const child of children) child.kill('SIGTERM');
    const timer = setTimeout(() => children.forEach((child) => child.kill('SIGKILL')), STOP_MS);
    await gone;
    clearTimeout(timer);
  }
}

function lines(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream }).on('line', onLine);
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, NICENESS);
  } catch {
    // The process has ended already, which its own `close` tells; nothing depends on the priority.
  }
}
