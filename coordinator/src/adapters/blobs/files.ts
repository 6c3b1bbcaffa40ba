/**
 * Blobs as files named by their SHA-256, two directories deep. Written beside, fsynced, renamed, and the directory fsynced: a
 * name either is there with all its bytes after a power cut, or is not there.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseDigest } from '@carapace/aggregation';
import type { Digest } from '@carapace/aggregation';
import { CoordinatorError } from '../../errors.ts';
import type { BlobStore, PendingUpload } from '../../ports.ts';

const DIGEST = /^[0-9a-f]{64}$/;

export async function openBlobs(directory: string): Promise<BlobStore> {
  const paths = new Paths(directory);
  await mkdir(paths.pending, { recursive: true, mode: 0o700 });
  await syncDirectory(directory);
  return {
    put: (bytes) => put(paths, bytes),
    get: (digest) => get(paths, digest),
    open: (digest) => openStream(paths, digest),
    has: async (digest) => (await sizeOf(paths.blob(digest))) !== null,
    delete: (digest) => rm(paths.blob(digest), { force: true }),
    upload: (key) => openUpload(paths, key),
    sweepUploads: (before) => sweep(paths.pending, before, () => true),
    sweepBlobs: (before, wanted) => sweepBlobs(paths, before, wanted),
  };
}

class Paths {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  get pending(): string {
    return join(this.directory, 'pending');
  }

  blob(digest: Digest): string {
    return join(this.directory, digest.slice(0, 2), digest.slice(2, 4), digest);
  }

  upload(key: string): string {
    if (!/^[a-z0-9_]{1,64}$/.test(key)) throw new Error(`"${key}" cannot name a pending upload`);
    return join(this.pending, `${key}.part`);
  }
}

async function put(paths: Paths, bytes: Uint8Array): Promise<Digest> {
  const digest = parseDigest(createHash('sha256').update(bytes).digest('hex'));
  // Written although it may be there: what is there may be corrupt, or not durable yet.
  const draft = join(paths.pending, `${randomUUID()}.tmp`);
  return durably(draft, async () => {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await give(paths, draft, digest);
    return digest;
  });
}

async function get(paths: Paths, digest: Digest): Promise<Uint8Array<ArrayBuffer>> {
  let bytes: Buffer;
  try {
    bytes = await readFile(paths.blob(digest));
  } catch (cause) {
    if (isMissing(cause)) throw new CoordinatorError('BLOB_NOT_FOUND', `there is no blob ${digest}`, { cause });
    throw cause;
  }
  if (createHash('sha256').update(bytes).digest('hex') !== digest) {
    throw new CoordinatorError('BLOB_CORRUPT', `the blob ${digest} has other bytes on disk: restore it from a backup`);
  }
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length).slice();
}

async function openStream(paths: Paths, digest: Digest): ReturnType<BlobStore['open']> {
  const bytes = await sizeOf(paths.blob(digest));
  return bytes === null ? null : { bytes, stream: createReadStream(paths.blob(digest)) };
}

async function openUpload(paths: Paths, key: string): Promise<PendingUpload> {
  const path = paths.upload(key);
  let received = (await sizeOf(path)) ?? 0;
  return {
    get received() {
      return received;
    },
    append: async (chunk, limit) => {
      received = await durably(null, () => append(path, received, chunk, limit));
      return received;
    },
    read: async () => new Uint8Array(await readFile(path)),
    commit: async (digest) => {
      const same = (await hashFile(path)) === digest;
      if (same) await commit(paths, path, digest);
      else await rm(path, { force: true });
      return same;
    },
    discard: () => rm(path, { force: true }),
  };
}

/** Bytes are written at the acknowledged offset, so a tail torn by a crash is overwritten; they count once they are synced. */
async function append(path: string, from: number, chunk: AsyncIterable<Uint8Array>, limit: number): Promise<number> {
  const file = await open(path, from === 0 ? 'w' : 'r+', 0o600);
  try {
    const end = await writeAll(file, from, chunk, limit);
    await file.datasync();
    if (from === 0) await syncDirectory(dirname(path));
    return end;
  } catch (error) {
    // What came before the failure is not acknowledged: it must not be taken for received later.
    await file.truncate(from);
    throw error;
  } finally {
    await file.close();
  }
}

async function writeAll(
  file: FileHandle,
  from: number,
  chunk: AsyncIterable<Uint8Array>,
  limit: number,
): Promise<number> {
  let at = from;
  for await (const piece of chunk) {
    if (at + piece.length > limit)
      throw new CoordinatorError('BODY_TOO_LARGE', `more than the announced ${limit} bytes`);
    at += await writeWhole(file, piece, at);
  }
  return at;
}

/** A disk that fills up takes a part of what it is given: the rest must be asked for again, or the error would be lost. */
async function writeWhole(file: FileHandle, piece: Uint8Array, at: number): Promise<number> {
  for (let done = 0; done < piece.length;)
    done += (await file.write(piece, done, piece.length - done, at + done)).bytesWritten;
  return piece.length;
}

/** Gives a durable file its name. */
async function give(paths: Paths, draft: string, digest: Digest): Promise<void> {
  const path = paths.blob(digest);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await rename(draft, path);
  await syncDirectory(dirname(path));
  await syncDirectory(dirname(dirname(path)));
  await syncDirectory(paths.directory);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The age of a blob counts from its name, however long its bytes lay before: an upload may be completed days later. */
async function commit(paths: Paths, draft: string, digest: Digest): Promise<void> {
  const now = new Date();
  await utimes(draft, now, now);
  await give(paths, draft, digest);
}

async function sweepBlobs(paths: Paths, before: number, wanted: (digest: Digest) => boolean): Promise<number> {
  let swept = 0;
  for (const first of await foldersIn(paths.directory)) {
    for (const second of await foldersIn(first))
      swept += await sweep(second, before, (name) => DIGEST.test(name) && !wanted(parseDigest(name)));
  }
  return swept;
}

/** Those of blobs, two digits each. */
async function foldersIn(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => /^[0-9a-f]{2}$/.test(name)).map((name) => join(path, name));
}

async function sweep(folder: string, before: number, isUnwanted: (name: string) => boolean): Promise<number> {
  let swept = 0;
  for (const name of await readdir(folder)) {
    if (!isUnwanted(name)) continue;
    const path = join(folder, name);
    const found = await stat(path).catch(() => null);
    if (found === null || found.mtimeMs >= before) continue;
    await rm(path, { force: true });
    swept += 1;
  }
  return swept;
}

/** A full disk is not an internal error: nothing was acknowledged, nothing half-written keeps a name. */
async function durably<T>(draft: string | null, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (cause) {
    if (draft !== null) await rm(draft, { force: true });
    if (cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT')) {
      throw new CoordinatorError('STORE_UNAVAILABLE', 'the disk for blobs is full: make room, then try again', {
        cause,
      });
    }
    throw cause;
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Uint8Array);
  return hash.digest('hex');
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
