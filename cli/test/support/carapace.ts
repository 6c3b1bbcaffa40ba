/** The command as a user runs it: a process, its exit code, what it printed. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { CARAPACE } from './coordinator-process.ts';
import { within } from './within.ts';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Command {
  readonly child: ChildProcess;
  /** Lines of stdout so far. */
  readonly lines: string[];
  readonly ended: Promise<Ran>;
}

export function startCarapace(args: readonly string[], env: NodeJS.ProcessEnv = {}): Command {
  const child = spawn(process.execPath, [CARAPACE, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  let stderr = '';
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = new Promise<Ran>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout: lines.join('\n'), stderr }));
  });
  return { child, lines, ended };
}

export function carapace(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return within(60_000, `carapace ${args.join(' ')} ends`, startCarapace(args, env).ended);
}

/** Of a command that was asked for JSON: its lines as objects. */
export function objects(lines: readonly string[]): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}
