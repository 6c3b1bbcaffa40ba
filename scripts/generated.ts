/** Documents that are made from the code: written by default, with `--check` only compared. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT: string = join(import.meta.dirname, '..');

/** @param command what to run when the document is stale */
export function writeOrCheck(path: string, wanted: string, command: string): void {
  const file = join(ROOT, path);
  const found = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (found === wanted) return;
  if (!process.argv.includes('--check')) {
    writeFileSync(file, wanted);
    console.log(`${path} written`);
    return;
  }
  console.error(`${path} is not what the code says: run \`${command}\``);
  process.exitCode = 1;
}
