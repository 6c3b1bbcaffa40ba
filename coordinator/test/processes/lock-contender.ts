/** Takes and gives back the lock in argv[2] many times; proves each time, by a file that only one can make, that it was alone. */
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { lockDirectory } from '../../src/adapters/store/embedded/lock-file.ts';
import { CoordinatorError } from '../../src/errors.ts';

const [, , directory = '', rounds = '0', mode = 'release'] = process.argv;
const alone = join(directory, 'alone');
let taken = 0;
for (let attempt = 0; taken < Number(rounds) && attempt < 100_000; attempt++) {
  try {
    const release = lockDirectory(directory, join(directory, 'lock'));
    closeSync(openSync(alone, 'wx'));
    taken += 1;
    if (mode === 'crash') process.kill(process.pid, 'SIGKILL');
    rmSync(alone);
    release();
  } catch (error) {
    if (!(error instanceof CoordinatorError && error.code === 'STORE_LOCKED')) throw error;
  }
}
process.exit(taken === Number(rounds) ? 0 : 4);
