import { createHash } from 'node:crypto';
import {
  fstatSync,
  readFileSync,
  readlinkSync,
  rmSync,
  mkdtempSync,
  readdirSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { parseDigest } from '@carapace/aggregation';
import type { Digest } from '@carapace/aggregation';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openBlobs } from '../src/adapters/blobs/files.ts';
import type { BlobStore } from '../src/ports.ts';
import { talk } from '../testing/lines.ts';

const digestOf = (bytes: Uint8Array): Digest => parseDigest(createHash('sha256').update(bytes).digest('hex'));
const writer = new URL('./processes/blob-writer.ts', import.meta.url);

async function* chunks(...pieces: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

let directory: string;
let blobs: BlobStore;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cpt-blobs-'));
  blobs = await openBlobs(directory);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const files = (): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
const pathOf = (digest: Digest): string => join(directory, digest.slice(0, 2), digest.slice(2, 4), digest);
const bytesOf = (length: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * seed * 31) & 255);

describe('blobs', () => {
  test('any bytes come back under their SHA-256, however often and together they are put', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 6 }), async (contents) => {
        const digests = await Promise.all([...contents, ...contents].map((bytes) => blobs.put(bytes)));
        expect(digests).toEqual([...contents, ...contents].map(digestOf));
        for (const bytes of contents) {
          expect(Buffer.from(await blobs.get(digestOf(bytes)))).toEqual(Buffer.from(bytes));
          const streamed = await blobs.open(digestOf(bytes));
          expect(streamed?.bytes).toBe(bytes.length);
          if (streamed !== null) expect(await buffer(streamed.stream)).toEqual(Buffer.from(bytes));
        }
      }),
      { numRuns: 20 },
    );
    expect(readdirSync(join(directory, 'pending'))).toEqual([]);
  });

  test('what was deleted, or never put, is absent', async () => {
    const digest = await blobs.put(bytesOf(100));
    await blobs.delete(digest);
    await blobs.delete(digest);
    expect(await blobs.has(digest)).toBe(false);
    expect(await blobs.open(digest)).toBeNull();
    await expect(blobs.get(digest)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
  });

  test.each([
    [
      'a flipped bit',
      (path: string) =>
        writeFileSync(
          path,
          readFileSync(path).map((byte, at) => (at === 50 ? byte ^ 1 : byte)),
        ),
    ],
    ['a lost tail', (path: string) => truncateSync(path, 99)],
    ['nothing', (path: string) => truncateSync(path, 0)],
  ])('%s on disk is found when it is read, and healed when it is put again', async (_, damage) => {
    const digest = await blobs.put(bytesOf(100));
    damage(pathOf(digest));
    await expect(blobs.get(digest)).rejects.toMatchObject({ code: 'BLOB_CORRUPT' });
    await blobs.put(bytesOf(100));
    expect(Buffer.from(await blobs.get(digest))).toEqual(Buffer.from(bytesOf(100)));
  });
});

describe('what nobody wants', () => {
  const HOUR = 3_600_000;
  const age = (path: string, ms: number): void => {
    const at = new Date(Date.now() - ms);
    utimesSync(path, at, at);
  };

  test('is swept when it is old, by its digest; what is young, wanted, pending or no blob stays', async () => {
    const [old, young, wanted] = [
      await blobs.put(bytesOf(1)),
      await blobs.put(bytesOf(2)),
      await blobs.put(bytesOf(3)),
    ];
    const pending = await blobs.upload('pending');
    await pending.append(chunks(bytesOf(4)), 4);
    const strange = join(directory, old.slice(0, 2), old.slice(2, 4), 'README');
    writeFileSync(strange, '');
    for (const path of [pathOf(old), pathOf(wanted), strange, join(directory, 'pending', 'pending.part')])
      age(path, 2 * HOUR);
    expect(await blobs.sweepBlobs(Date.now() - HOUR, (digest) => digest === wanted)).toBe(1);
    expect(await Promise.all([old, young, wanted].map((digest) => blobs.has(digest)))).toEqual([false, true, true]);
    expect(files()).toContain(strange);
    expect((await blobs.upload('pending')).received).toBe(4);
    await blobs.delete(wanted);
    expect(await blobs.sweepBlobs(Date.now() + HOUR, () => false)).toBe(1);
  });

  test('counts its age from its name: an upload that lay for days is as young as any', async () => {
    const bytes = bytesOf(100);
    const pending = await blobs.upload('slow');
    await pending.append(chunks(bytes), bytes.length);
    age(join(directory, 'pending', 'slow.part'), 50 * HOUR);
    expect(await pending.commit(digestOf(bytes))).toBe(true);
    expect(await blobs.sweepBlobs(Date.now() - HOUR, () => false)).toBe(0);
    expect(await blobs.has(digestOf(bytes))).toBe(true);
  });

  test('is nothing in an empty store', async () => {
    expect(await blobs.sweepBlobs(Date.now(), () => false)).toBe(0);
  });
});

describe('uploads', () => {
  test('any cut into chunks and reopenings gives the whole', async () => {
    const cuts = fc.array(fc.tuple(fc.uint8Array({ maxLength: 400 }), fc.uint8Array({ maxLength: 9 }), fc.boolean()), {
      minLength: 1,
      maxLength: 6,
    });
    let key = 0;
    await fc.assert(
      fc.asyncProperty(cuts, async (pieces) => {
        const name = `upload_${++key}`;
        let pending = await blobs.upload(name);
        let whole = Buffer.alloc(0);
        for (const [first, second, reopen] of pieces) {
          whole = Buffer.concat([whole, first, second]);
          expect(await pending.append(chunks(first, second), whole.length)).toBe(whole.length);
          if (reopen) pending = await (await openBlobs(directory)).upload(name);
          expect(pending.received).toBe(whole.length);
          expect(Buffer.from(await pending.read())).toEqual(whole);
        }
        expect(await pending.commit(digestOf(whole))).toBe(true);
        expect(Buffer.from(await blobs.get(digestOf(whole)))).toEqual(whole);
        expect((await blobs.upload(name)).received).toBe(0);
      }),
      { numRuns: 20 },
    );
  });

  test('another digest is refused, and the bytes are gone', async () => {
    const pending = await blobs.upload('wrong');
    await pending.append(chunks(bytesOf(10)), 10);
    expect(await pending.commit(digestOf(bytesOf(11)))).toBe(false);
    expect(files()).toEqual([]);
    expect((await blobs.upload('wrong')).received).toBe(0);
  });

  test('a chunk that fails or is too long takes nothing of itself along', async () => {
    const pending = await blobs.upload('torn');
    await pending.append(chunks(bytesOf(10)), 20);
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield bytesOf(5, 3);
      throw new Error('the connection broke');
    };
    await expect(pending.append(broken(), 20)).rejects.toThrow('the connection broke');
    await expect(pending.append(chunks(bytesOf(5, 3), bytesOf(6, 3)), 20)).rejects.toMatchObject({
      code: 'BODY_TOO_LARGE',
    });
    for (const seen of [pending, await blobs.upload('torn')]) {
      expect(seen.received).toBe(10);
      expect(Buffer.from(await seen.read())).toEqual(Buffer.from(bytesOf(10)));
    }
    await pending.discard();
    expect(files()).toEqual([]);
  });

  test.each(['', '..', '../x', 'a/b', 'A', 'a.b', 'a\0b', 'x'.repeat(65), '/etc/passwd', 'ä'])(
    'the key %j is refused',
    async (key) => {
      await expect(blobs.upload(key)).rejects.toThrow('cannot name a pending upload');
    },
  );

  test('a name of a blob that is no digest cannot be made', () => {
    for (const text of ['../../../etc/passwd', 'ab'.repeat(31) + '/.', 'AB'.repeat(32), '0'.repeat(63)])
      expect(() => parseDigest(text)).toThrow();
  });

  test('what nobody touched since is swept, drafts too; the rest stays', async () => {
    for (const key of ['old', 'new']) await (await blobs.upload(key)).append(chunks(bytesOf(10)), 10);
    const draft = join(directory, 'pending', 'left-by-a-crash.tmp');
    writeFileSync(draft, 'half');
    const named = await blobs.put(bytesOf(50));
    for (const path of [draft, join(directory, 'pending', 'old.part'), pathOf(named)]) utimesSync(path, 1_000, 1_000);
    expect(await blobs.sweepUploads(2_000_000)).toBe(2);
    expect(await blobs.sweepUploads(2_000_000)).toBe(0);
    expect([(await blobs.upload('old')).received, (await blobs.upload('new')).received]).toEqual([0, 10]);
    expect(await blobs.has(named)).toBe(true);
  });
});

describe('durability', () => {
  /** Every sync that the body causes, in order, with what was on disk under that name at that moment. */
  async function syncs(
    body: () => Promise<unknown>,
  ): Promise<{ path: string; bytes: number | null; entries: string[] }[]> {
    const handle = await open(directory, 'r');
    const prototype = Object.getPrototypeOf(handle) as FileHandle;
    await handle.close();
    const seen: { path: string; bytes: number | null; entries: string[] }[] = [];
    // eslint-disable-next-line @typescript-eslint/unbound-method
    const originals = { sync: prototype.sync, datasync: prototype.datasync };
    for (const name of ['sync', 'datasync'] as const) {
      prototype[name] = function (this: FileHandle) {
        const path = readlinkSync(`/proc/self/fd/${this.fd}`);
        const isDirectory = fstatSync(this.fd).isDirectory();
        seen.push({
          path,
          bytes: isDirectory ? null : fstatSync(this.fd).size,
          entries: isDirectory ? readdirSync(path) : [],
        });
        return originals[name].call(this);
      };
    }
    try {
      await body();
    } finally {
      Object.assign(prototype, originals);
    }
    return seen;
  }

  test.runIf(process.platform === 'linux')(
    'a blob is synced whole, then named, then its directories are synced',
    async () => {
      const bytes = bytesOf(5_000);
      const digest = digestOf(bytes);
      const seen = await syncs(() => blobs.put(bytes));
      expect(seen.map(({ path }) => path)).toEqual([
        expect.stringContaining('/pending/'),
        join(directory, digest.slice(0, 2), digest.slice(2, 4)),
        join(directory, digest.slice(0, 2)),
        directory,
      ]);
      expect(seen[0]?.bytes).toBe(5_000);
      expect(seen[1]?.entries).toEqual([digest]);
    },
  );

  test.runIf(process.platform === 'linux')(
    'a chunk is synced before it is acknowledged, a new upload with its name',
    async () => {
      const pending = await blobs.upload('synced');
      const first = await syncs(() => pending.append(chunks(bytesOf(10)), 20));
      expect(first.map(({ path, bytes }) => [path, bytes])).toEqual([
        [join(directory, 'pending', 'synced.part'), 10],
        [join(directory, 'pending'), null],
      ]);
      const second = await syncs(() => pending.append(chunks(bytesOf(10)), 20));
      expect(second.map(({ bytes }) => bytes)).toEqual([20]);
    },
  );

  test('kills in mid-write leave no half blob under a name, and lose nothing acknowledged', async () => {
    const said: string[] = [];
    for (let round = 0; round < 5; round++) {
      const child = talk(writer, [directory]);
      try {
        await child.until(/^digest/, 1 + Math.floor(Math.random() * 15));
      } finally {
        await child.kill();
      }
      said.push(...child.lines);
      for (const path of files().filter((file) => !file.includes('/pending/')))
        expect(createHash('sha256').update(readFileSync(path)).digest('hex')).toBe(path.slice(-64));
      const offset = Number(child.lines.findLast((line) => line.startsWith('offset'))?.slice(7) ?? 0);
      const pending = await blobs.upload('resumed');
      expect(pending.received).toBeGreaterThanOrEqual(offset);
      expect((await pending.read()).every((byte) => byte === 7)).toBe(true);
    }
    for (const line of said.filter((one) => one.startsWith('digest ')))
      expect(await blobs.has(parseDigest(line.slice(7)))).toBe(true);
  });

  test('a disk that takes only a part of a chunk is noticed: nothing is acknowledged', async () => {
    // `ulimit -f` counts in blocks of 512 or 1024 bytes: a file of 100000 bytes is beyond 32 of either.
    const child = talk(writer, [directory, 'once'], { shell: 'ulimit -f 32' });
    await child.ended;
    expect(child.lines).toEqual(['refused EFBIG']);
    expect(statSync(join(directory, 'pending', 'resumed.part')).size).toBe(0);
  });
});
