/** A coordinator in a process of its own, as an operator runs it, that can be killed and started again on the same port and directory. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ClientList, RoundList, RoundPage } from '../../src/answers.ts';
import { operatorCalls } from '../../src/operator-calls.ts';
import type { OperatorCalls } from '../../src/operator-calls.ts';
import { within } from './within.ts';

export const CARAPACE: string = fileURLToPath(new URL('../../bin/carapace.mjs', import.meta.url));
const START_MS = 60_000;
const STOP_MS = 15_000;

export class CoordinatorProcess {
  readonly url: string;
  readonly calls: OperatorCalls;
  /** Everything it told, of all its lives. */
  readonly events: Record<string, unknown>[] = [];
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | null = null;
  #stderr = '';

  private constructor(port: number, data: string, flags: readonly string[], env: NodeJS.ProcessEnv) {
    this.url = `http://127.0.0.1:${port}`;
    this.#args = [CARAPACE, 'coordinator', '--data', data, '--port', String(port), '--json', ...flags];
    this.#env = { ...process.env, ...env };
    this.calls = lazyCalls(this.url, data);
  }

  static async start(
    data: string,
    { flags = [], env = {} }: { readonly flags?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
  ): Promise<CoordinatorProcess> {
    const coordinator = new CoordinatorProcess(await freePort(), data, flags, env);
    await coordinator.start();
    return coordinator;
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, this.#args, { env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    child.stderr.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
    const listening = new Promise<void>((resolve, reject) => {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const event = JSON.parse(line) as Record<string, unknown>;
        this.events.push(event);
        if (event['event'] === 'listening') resolve();
      });
      child.once('exit', (code) => reject(new Error(`the coordinator ended (${code}): ${this.#stderr}`)));
    });
    await within(START_MS, 'the coordinator listens', listening);
  }

  /** As a power cut does it. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  get stderr(): string {
    return this.#stderr;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await within(STOP_MS, `the coordinator ends on ${signal}`, ended);
  }
}

/** The admin key exists only once the coordinator has started. */
function lazyCalls(url: string, data: string): OperatorCalls {
  const { signal } = new AbortController();
  const calls = (): OperatorCalls => operatorCalls({ url, data }, {}, signal);
  return {
    url,
    get: (path) => calls().get(path),
    post: (path, body) => calls().post(path, body),
    put: (path, body) => calls().put(path, body),
    upload: (path, type, bytes) => calls().upload(path, type, bytes),
    download: (path) => calls().download(path),
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** For a test that waits in vain: where the newest round stands, and what the coordinator told last. */
export async function diagnosis({ calls, events, stderr }: CoordinatorProcess, task: string): Promise<string> {
  const { rounds } = await calls.get<RoundList>(`/v1/tasks/${task}/rounds?limit=1`);
  const page = rounds[0] === undefined ? null : await calls.get<RoundPage>(`/v1/rounds/${rounds[0].id}`);
  const { clients } = await calls.get<ClientList>('/v1/clients');
  return JSON.stringify({ page, clients, events: events.slice(-20), stderr: stderr.slice(-2000) }, null, 1);
}
