/** What a client keeps on disk: over restarts, over crashes between any two writes, and against a second process. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newUpdateId, parseDigest } from '@carapace/aggregation';
import { toHex } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { PendingUpdate } from '../../src/participant.ts';
import { StateDirectory } from '../../src/state/state-directory.ts';
import { MEMBERSHIP, UPDATE } from '../fixtures.ts';

const root = mkdtempSync(join(tmpdir(), 'carapace-state-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const random = seededRandom('state');
const RECEIPT = { payload: 'p', signature: 's', key: 'k' };
const folder = (): string => mkdtempSync(join(root, 'd-'));

async function within<T>(directory: string, body: (state: StateDirectory) => Promise<T>): Promise<T> {
  const state = await StateDirectory.open(directory, random);
  try {
    return await body(state);
  } finally {
    state.close();
  }
}

function updateOf(bytes: Uint8Array): PendingUpdate {
  const digest = parseDigest(createHash('sha256').update(bytes).digest('hex'));
  return { ...UPDATE, id: newUpdateId(random), digest, bytes: bytes.length };
}

const notesIn = (directory: string): Record<string, unknown>[] =>
  readFileSync(join(directory, 'receipts.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('a key is made once and read ever after; only its owner reads what is secret', async () => {
  const directory = folder();
  const seed = (): Promise<string> => within(directory, async ({ key }) => toHex(key.exportSeed()));
  expect(await seed()).toBe(await seed());
  expect(statSync(join(directory, 'client.key')).mode & 0o077).toBe(0);
});

test('a membership comes back as it was written, and there is none before', async () => {
  const directory = folder();
  await within(directory, async (state) => {
    expect(await state.membership()).toBeNull();
    await state.join(MEMBERSHIP);
  });
  expect(await within(directory, (state) => state.membership())).toEqual(MEMBERSHIP);
});

describe('sequence numbers', () => {
  type Act =
    | { readonly kind: 'take'; readonly count: number }
    | { readonly kind: 'crash' }
    | { readonly kind: 'skip'; readonly by: number };
  const acts = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('take' as const), count: fc.integer({ min: 1, max: 1_500 }) }),
      fc.record({ kind: fc.constant('skip' as const), by: fc.integer({ min: -2_000, max: 5_000 }) }),
      fc.constant({ kind: 'crash' as const }),
    ),
    { maxLength: 8 },
  );

  test('rise, whatever crashes and skips lie between: none is used twice', () =>
    fc.assert(
      fc.asyncProperty(acts, async (script: readonly Act[]) => {
        const directory = folder();
        let state = await StateDirectory.open(directory, random);
        let used = 0n;
        let told = 0n;
        for (const act of script) {
          if (act.kind === 'crash') {
            // As good as a kill: nothing is written when a directory is let go. What it was told it may be told again.
            state.close();
            state = await StateDirectory.open(directory, random);
            told = 0n;
          } else if (act.kind === 'skip') {
            told = used + BigInt(act.by);
            state.skipSequenceTo(told);
          } else {
            for (let count = 0; count < act.count; count++) {
              const next = await state.nextSequence();
              expect(next > used && next > told).toBe(true);
              used = next;
            }
          }
        }
        state.close();
      }),
      { numRuns: 25 },
    ));

  test('a file that holds no number is not taken for zero', async () => {
    for (const text of ['', 'x', '-1', '1.5', '9'.repeat(30)]) {
      const directory = folder();
      writeFileSync(join(directory, 'sequence'), text);
      await expect(StateDirectory.open(directory, random)).rejects.toMatchObject({ code: 'STATE_CORRUPT' });
      // And the directory is free again, for whoever mends it.
      writeFileSync(join(directory, 'sequence'), '5');
      expect(await within(directory, (state) => state.nextSequence())).toBe(6n);
    }
  });
});

describe('the journal', () => {
  const BYTES = seededRandom('update').bytes(5_000);

  test('gives back the same bytes after any restart, until the update is recorded', async () => {
    for (const outcome of ['admitted', 'refused'] as const) {
      const directory = folder();
      const update = updateOf(BYTES);
      await within(directory, async (state) => {
        expect(await state.journalled()).toBeNull();
        await state.journal(update, BYTES);
      });
      for (let restart = 0; restart < 2; restart++)
        expect(await within(directory, (state) => state.journalled())).toEqual({ update, bytes: BYTES });
      await within(directory, (state) =>
        outcome === 'admitted' ? state.recordAdmitted(update, RECEIPT) : state.recordRefused(update, 'UPDATE_LATE'),
      );
      expect(await within(directory, (state) => state.journalled())).toBeNull();
      const { id, round, digest } = update;
      const last = outcome === 'admitted' ? { receipt: RECEIPT } : { code: 'UPDATE_LATE' };
      expect(notesIn(directory)).toEqual([
        { kind: 'sent', update: id, round, digest },
        { kind: outcome, update: id, round, digest, ...last },
      ]);
    }
  });

  test('bytes without their description are no update: a crash came in between, and it is trained again', async () => {
    const directory = folder();
    await within(directory, async (state) => {
      await state.journal(updateOf(BYTES), BYTES);
      rmSync(join(directory, 'update.json'));
      expect(await state.journalled()).toBeNull();
      const other = updateOf(BYTES.subarray(1));
      await state.journal(other, BYTES.subarray(1));
      expect((await state.journalled())?.update).toEqual(other);
    });
  });

  test('a draft that a crash left behind is in nobody’s way', async () => {
    const directory = folder();
    for (const name of ['update.json.tmp', 'update.bin.tmp', 'sequence.tmp', 'client.key.tmp'])
      writeFileSync(join(directory, name), 'half');
    const update = updateOf(BYTES);
    await within(directory, async (state) => {
      expect(await state.journalled()).toBeNull();
      expect(await state.nextSequence()).toBe(1n);
      await state.journal(update, BYTES);
    });
    expect(await within(directory, (state) => state.journalled())).toEqual({ update, bytes: BYTES });
  });

  const damages: readonly (readonly [string, (directory: string) => void])[] = [
    ['a changed byte', (directory) => writeFileSync(join(directory, 'update.bin'), BYTES.with(7, (BYTES[7] ?? 0) ^ 1))],
    ['a missing tail', (directory) => truncateSync(join(directory, 'update.bin'), 4_999)],
    ['no bytes', (directory) => rmSync(join(directory, 'update.bin'))],
    ['a description that is no JSON', (directory) => writeFileSync(join(directory, 'update.json'), '{"id":')],
    ['a description of something else', (directory) => writeFileSync(join(directory, 'update.json'), '{"id":"x"}')],
  ];
  test.each(damages)('%s is never sent', async (_name, damage) => {
    const directory = folder();
    await within(directory, async (state) => {
      await state.journal(updateOf(BYTES), BYTES);
      damage(directory);
      await expect(state.journalled()).rejects.toMatchObject({ code: 'STATE_CORRUPT' });
    });
  });
});

test.each(['client.key', 'membership.json'])('a %s that this client did not write is refused by name', async (name) => {
  const directory = folder();
  await within(directory, (state) => state.join(MEMBERSHIP));
  writeFileSync(join(directory, name), 'nonsense');
  const opening = within(directory, (state) => state.membership());
  await expect(opening).rejects.toMatchObject({ code: 'STATE_CORRUPT', message: expect.stringContaining(name) });
});

describe('cached blobs', () => {
  const digestOf = (bytes: Uint8Array) => parseDigest(createHash('sha256').update(bytes).digest('hex'));

  test('a blob is given back as it was put; one that was damaged on disk is not', async () => {
    const directory = folder();
    const bytes = random.bytes(1_000);
    await within(directory, async (state) => {
      expect(await state.cachedBlob(digestOf(bytes))).toBeNull();
      await state.cacheBlob(digestOf(bytes), bytes);
      expect(await state.cachedBlob(digestOf(bytes))).toEqual(bytes);
      writeFileSync(join(directory, 'blobs', digestOf(bytes)), bytes.subarray(1));
      expect(await state.cachedBlob(digestOf(bytes))).toBeNull();
    });
  });

  test('a client that runs for ever does not fill the disk', async () => {
    const directory = folder();
    await within(directory, async (state) => {
      let last = new Uint8Array();
      for (let round = 0; round < 20; round++) {
        last = random.bytes(10);
        await state.cacheBlob(digestOf(last), last);
      }
      expect(readdirSync(join(directory, 'blobs')).length).toBeLessThanOrEqual(6);
      expect(await state.cachedBlob(digestOf(last))).toEqual(last);
    });
  });
});

describe('one process per directory', () => {
  test('a second one is told who holds it, and comes in when it is free', async () => {
    const directory = folder();
    await within(directory, async () => {
      await expect(StateDirectory.open(directory, random)).rejects.toMatchObject({
        code: 'STATE_LOCKED',
        message: expect.stringContaining(`process ${process.pid} uses`),
      });
    });
    await within(directory, async () => undefined);
  });

  test('the lock of a killed process is taken over; that of a living one, in another process, is not', async () => {
    const directory = folder();
    const source = new URL('../../src/state/lock-file.ts', import.meta.url).href;
    const script = `const { lockState } = await import(${JSON.stringify(source)}); lockState(process.argv[1]); console.log('locked'); setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const ended = new Promise((resolve) => holder.once('close', resolve));
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    await expect(StateDirectory.open(directory, random)).rejects.toMatchObject({ code: 'STATE_LOCKED' });
    holder.kill('SIGKILL');
    await ended;
    await within(directory, async () => undefined);
  });

  const stale: readonly (readonly [string, string])[] = [
    ['torn by a crash', ''],
    ['of a number that another process has now', JSON.stringify({ pid: process.ppid, startedAt: '1' })],
    ['of an earlier life of this very number', JSON.stringify({ pid: process.pid, startedAt: '1' })],
  ];
  test.each(stale)('a lock %s is taken over', async (_name, content) => {
    const directory = folder();
    writeFileSync(join(directory, 'lock'), content);
    await within(directory, async () => undefined);
    expect(readdirSync(directory).filter((name) => name.startsWith('lock'))).toEqual([]);
  });
});
