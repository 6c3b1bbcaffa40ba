/** Many clients, each a process: one-hot ones unless another program is named. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatJoinLink } from '@carapace/client-sdk';
import type { ClientEvent } from '@carapace/client-sdk';
import type { OperatorCalls } from '../../src/operator-calls.ts';
import { within } from './within.ts';

const ONE_HOT = fileURLToPath(new URL('./one-hot-client.ts', import.meta.url));
const STOP_MS = 20_000;

export interface ClientProcess {
  readonly index: number;
  readonly program: string;
  readonly events: ClientEvent[];
  readonly child: ChildProcess;
}

export async function startClients(
  calls: OperatorCalls,
  {
    count,
    directory,
    pauseMs,
    program = ONE_HOT,
  }: { readonly count: number; readonly directory: string; readonly pauseMs: number; readonly program?: string },
): Promise<ClientProcess[]> {
  const clients: ClientProcess[] = [];
  for (let index = 0; index < count; index++) {
    const { token } = await calls.post<{ token: string }>('/v1/tokens', { site: 'test' });
    clients.push(startClient(program, index, formatJoinLink(calls.url, token), directory, pauseMs));
  }
  return clients;
}

/** The same client again, as a supervisor restarts it: what it is and does is in its state directory. */
export function restartClient({ index, program }: ClientProcess, directory: string): ClientProcess {
  return startClient(program, index, null, directory, 0);
}

/** A negative pause makes it kill itself as soon as an update is to be sent. */
function startClient(
  program: string,
  index: number,
  joinLink: string | null,
  directory: string,
  pauseMs: number,
): ClientProcess {
  const args = [program, stateOf(directory, index), String(index), String(pauseMs)];
  const env = { ...process.env, ...(joinLink === null ? {} : { CARAPACE_JOIN: joinLink }) };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const events: ClientEvent[] = [];
  child.on('message', (event) => events.push(event as ClientEvent));
  return { index, program, events, child };
}

export function stateOf(directory: string, index: number): string {
  return join(directory, `client-${index}`);
}

export async function stopClients(
  clients: readonly ClientProcess[],
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  const running = clients.filter(({ child }) => child.exitCode === null && child.signalCode === null);
  const ended = running.map(({ child }) => new Promise((resolve) => child.once('exit', resolve)));
  for (const { child } of running) child.kill(signal);
  await within(STOP_MS, 'the clients end', Promise.all(ended));
}
