/** The high-water mark of the privacy ledger: a file beside the records, replaced whole and synced before it counts. */
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { CoordinatorError } from '../errors.ts';
import type { LedgerHead, LedgerMark, LedgerRecord, Mark } from '../ports.ts';

export function fileMark(directory: string): LedgerMark {
  const path = join(directory, 'privacy-ledger-mark.json');
  return {
    read: async () => {
      const text = await readIfThere(path);
      return text === null ? null : parse(path, text);
    },
    write: async (mark) => {
      const draft = `${path}.${process.pid}`;
      const file = await open(draft, 'w', 0o600);
      try {
        await file.writeFile(JSON.stringify(mark));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
      await syncDirectory(directory);
    },
  };
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function parse(path: string, text: string): Mark {
  try {
    const { base, added } = JSON.parse(text) as Mark;
    if ((base === null || isHead(base)) && added.every(isRecord)) return { base, added };
  } catch (cause) {
    throw new CoordinatorError('LEDGER_STALE', `${path} is no mark of the privacy ledger`, { cause });
  }
  throw new CoordinatorError('LEDGER_STALE', `${path} is no mark of the privacy ledger`);
}

function isHead({ sequence, hash }: NonNullable<LedgerHead>): boolean {
  return Number.isSafeInteger(sequence) && typeof hash === 'string';
}

function isRecord(record: LedgerRecord): boolean {
  const { at, actor, entry, previousHash } = record;
  return (
    isHead(record) && Number.isFinite(at) && [actor, entry, previousHash].every((part) => typeof part === 'string')
  );
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
