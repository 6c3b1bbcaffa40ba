/** Stores for tests, each over a database of its own. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type pg from 'pg';
import { openEmbedded } from '../src/adapters/store/embedded/open-embedded.ts';
import { openStore } from '../src/adapters/store/open-store.ts';
import type { StoreLocation } from '../src/adapters/store/open-store.ts';
import type { Store } from '../src/ports.ts';

export interface TestStore {
  readonly store: Store;
  readonly pool: pg.Pool;
  /** What the store reported beside its answers. */
  readonly failures: readonly unknown[];
  /** Closes the store and removes its directory, if it has one. */
  close(): Promise<void>;
}

/** Embedded in a directory of its own, unless a location is given. */
export async function openTestStore(location?: StoreLocation): Promise<TestStore> {
  const directory = location === undefined ? await embeddedDirectory() : null;
  const failures: unknown[] = [];
  const { store, pool } = await openStore(location ?? { kind: 'embedded', directory: directory ?? '' }, (error) =>
    failures.push(error),
  );
  return {
    store,
    pool,
    failures,
    close: async () => {
      await store.close();
      if (directory !== null) rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A data directory for the embedded database, copied from a fresh one: making one takes six CPU seconds. The caller removes it. */
export async function embeddedDirectory(): Promise<string> {
  const template = await embeddedTemplate();
  const directory = mkdtempSync(join(tmpdir(), 'cpt-records-'));
  cpSync(template, directory, { recursive: true });
  return directory;
}

/** Kept beside the packages, so that one `initdb` serves all test processes until the packages change. */
async function embeddedTemplate(): Promise<string> {
  const packages = fileURLToPath(import.meta.resolve('@electric-sql/pglite')).split('/@electric-sql/')[0] ?? tmpdir();
  const cache = join(packages, '.cache', 'carapace');
  const template = join(cache, 'empty-records');
  if (existsSync(template)) return template;
  mkdirSync(cache, { recursive: true });
  const draft = mkdtempSync(join(cache, 'draft-'));
  const fail = (error: unknown): void => {
    throw error;
  };
  const { close } = await openEmbedded(draft, { onLost: fail, onError: fail });
  await close();
  try {
    renameSync(draft, template);
  } catch {
    // Another test process was faster; a template is like any other.
    rmSync(draft, { recursive: true, force: true });
  }
  return template;
}
