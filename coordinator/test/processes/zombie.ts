/** Makes a process that took the lock in argv[2] and was killed, and lives on without ever asking about it: a zombie. */
import { spawnSync } from 'node:child_process';

const [, , directory = ''] = process.argv;
const contender = new URL('./lock-contender.ts', import.meta.url).pathname;
// `exec` makes the shell a program that waits for its input alone; when that ends, it and its zombie are gone.
const script = '"$0" "$1" "$2" 1 crash & until grep -q ") Z" /proc/$!/stat; do sleep 0.05; done; echo zombie; exec cat';
spawnSync('/bin/sh', ['-c', script, process.execPath, contender, directory], { stdio: 'inherit' });
