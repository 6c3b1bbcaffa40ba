/** A child process that speaks in lines. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { withDeadline } from './supervised.ts';

export interface Talker {
  readonly process: ChildProcess;
  readonly lines: readonly string[];
  /** Resolves when this many lines have matched, counted from the start; says what came instead when it ends before. */
  until(pattern: RegExp, count?: number): Promise<void>;
  /** `kill -9`, and resolves when it is gone. */
  kill(): Promise<void>;
  readonly ended: Promise<number | null>;
}

const DEADLINE_MS = 90_000;

interface TalkOptions {
  readonly node?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Run by a shell before the process takes its place, such as `ulimit`. */
  readonly shell?: string;
}

/** Runs a TypeScript file of this repository. */
export function talk(file: URL, args: readonly string[], options: TalkOptions = {}): Talker {
  const command = [process.execPath, ...(options.node ?? []), file.pathname, ...args];
  const child = spawn('/bin/sh', ['-c', `${options.shell ?? ':'}; exec "$@"`, 'sh', ...command], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', ...options.env },
  });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const heard = (line: string): void => {
    lines.push(line);
    for (const look of waiting) look();
  };
  createInterface({ input: child.stdout }).on('line', heard);
  createInterface({ input: child.stderr }).on('line', (line) => heard(`stderr: ${line}`));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const orphaned = (): void => void child.kill('SIGKILL');
  process.once('exit', orphaned);
  void ended.then(() => process.off('exit', orphaned));
  return {
    process: child,
    lines,
    ended,
    until: (pattern, count = 1) => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const look = (): void => {
        if (lines.filter((line) => pattern.test(line)).length >= count) resolve();
      };
      waiting.add(look);
      look();
      void ended.then((code) =>
        reject(new Error(`${file.pathname} ended with ${code}:\n${lines.slice(-20).join('\n')}`)),
      );
      return withDeadline(promise, DEADLINE_MS, `${file.pathname} did not say ${pattern} ${count} times`).finally(() =>
        waiting.delete(look),
      );
    },
    kill: async () => {
      child.kill('SIGKILL');
      await withDeadline(ended, DEADLINE_MS, 'a killed process did not end');
    },
  };
}
