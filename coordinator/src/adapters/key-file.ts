/** The coordinator's identity: 32 bytes in a file that only its owner reads, made on first start and never written again. */
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, generateSigningKey, signingKeyFromSeed, toHex } from '@carapace/crypto';
import type { RandomSource, SigningKey } from '@carapace/crypto';

export function loadKey(directory: string, random: RandomSource): SigningKey {
  const path = join(directory, 'coordinator.key');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  try {
    return signingKeyFromSeed(fromHex(readFileSync(path, 'utf8').trim()));
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error;
  }
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${toHex(generateSigningKey(random).exportSeed())}\n`, { mode: 0o600, flush: true });
  try {
    linkSync(draft, path);
  } catch (error) {
    // Another process was first: its key is the coordinator's.
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return signingKeyFromSeed(fromHex(readFileSync(path, 'utf8').trim()));
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
