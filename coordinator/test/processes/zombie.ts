/** Makes a process that took the lock in argv[2] and was killed, and lives on without ever asking about it: a zombie. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const [, , directory = ''] = process.argv;
const contender = new URL('./lock-contender.ts', import.meta.url).pathname;
// `exec` at once: a shell that runs anything else would reap the child on the way. `cat` never asks, and ends with its input.
const script = '"$0" "$1" "$2" 1 crash & echo $!; exec cat';
const parent = spawn('/bin/sh', ['-c', script, process.execPath, contender, directory], {
  stdio: ['inherit', 'pipe', 'inherit'],
});
createInterface({ input: parent.stdout }).once('line', (pid) => void told(pid));

async function told(pid: string): Promise<void> {
  while (!readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z')) await sleep(20);
  console.log('zombie');
}
