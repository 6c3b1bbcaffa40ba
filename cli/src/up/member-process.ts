/** A member of the federation in a process of its own, as on another host: it joins by a link and tells JSON lines. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../bin/carapace.mjs', import.meta.url));
/** Training may take what the coordinator leaves. */
const NICENESS = 10;
const STOP_MS = 2_500;

export interface MemberEnd {
  readonly how: string;
  /** The last thing it said on stderr. */
  readonly lastWords: string;
}

export interface MemberOptions {
  /** Verb and options of `carapace`. */
  readonly args: readonly string[];
  readonly joinLink: string;
  readonly onEvent: (event: Record<string, unknown>) => void;
  readonly onEnd: (end: MemberEnd) => void;
}

export function startMember({ args, joinLink, onEvent, onEnd }: MemberOptions): ChildProcess {
  const child = spawn(process.execPath, [COMMAND, ...args, '--json'], {
    // The link is a secret: it is not among the arguments, which every user of the host can list.
    env: { ...process.env, CARAPACE_JOIN: joinLink },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // A group of its own: a terminal's Ctrl-C reaches the parent, which ends its members in order.
    detached: true,
  });
  if (child.pid !== undefined) lowerPriority(child.pid);
  let lastWords = '';
  lines(child.stdout, (line) => onEvent(JSON.parse(line) as Record<string, unknown>));
  lines(child.stderr, (line) => (lastWords = line));
  child.on('error', (error) => (lastWords = error.message));
  child.on('close', (code, signal) => onEnd({ how: signal === null ? `exit code ${code}` : signal, lastWords }));
  return child;
}

/** Asks, waits, then insists. */
export async function stopMembers(children: readonly ChildProcess[]): Promise<void> {
  const gone = Promise.all(children.map((child) => new Promise((resolve) => child.once('close', resolve))));
  for (const child of children) child.kill('SIGTERM');
  const timer = setTimeout(() => children.forEach((child) => child.kill('SIGKILL')), STOP_MS);
  await gone;
  clearTimeout(timer);
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
