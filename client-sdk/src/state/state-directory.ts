/** Everything a client keeps: its key, whom it belongs to, its sequence numbers, the update in flight, and what became of every update. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseClientId, parseDigest, parsePrivacyEvent, parseRoundId, parseUpdateId } from '@carapace/aggregation';
import type {
  ClientId,
  Digest,
  PrivacyEvent,
  RoundId,
  SignedDocument,
  StepsCharge,
  TaskId,
} from '@carapace/aggregation';
import {
  fromBase64url,
  fromHex,
  generateSigningKey,
  parsePublicKey,
  Reader,
  signingKeyFromSeed,
  toBase64url,
  toHex,
  Writer,
} from '@carapace/crypto';
import type { PublicKey, RandomSource, SigningKey } from '@carapace/crypto';
import { ClientError } from '../errors.ts';
import type { PendingUpdate } from '../participant.ts';
import { appendLine, readIfPresent, removeFile, replaceFile } from './durable-file.ts';
import { lockState } from './lock-file.ts';

export interface Membership {
  readonly client: ClientId;
  readonly coordinator: string;
  readonly coordinatorKey: PublicKey;
  /** Key of the enrolment authority whose rosters alone this client believes; absent where the coordinator's word is taken. */
  readonly authority?: PublicKey;
  /** Identity of the one aggregator with which this client shares updates; absent where the coordinator's word is taken. */
  readonly aggregator?: PublicKey;
}

/** This client's part in a session of secure aggregation. */
export interface ProtocolJournal {
  readonly round: RoundId;
  /** Whether the coordinator has admitted the masked input: what is left is to unmask the sum. */
  readonly admitted: boolean;
  readonly state: Uint8Array;
}

/** Sequence numbers are reserved this many at a time: one fsync serves many calls, and a crash only skips numbers. */
const SEQUENCE_BLOCK = 1_000n;
const KEPT_BLOBS = 6;

export class StateDirectory {
  readonly #directory: string;
  readonly #unlock: () => void;
  readonly key: SigningKey;
  #next: bigint;
  /** As on the disk. */
  #reserved: bigint;
  #reserving: Promise<void> | null = null;

  private constructor(directory: string, unlock: () => void, key: SigningKey, reserved: bigint) {
    this.#directory = directory;
    this.#unlock = unlock;
    this.key = key;
    this.#next = reserved + 1n;
    this.#reserved = reserved;
  }

  /** @throws ClientError `STATE_LOCKED` or `STATE_CORRUPT` */
  static async open(directory: string, random: RandomSource): Promise<StateDirectory> {
    await mkdir(join(directory, 'blobs'), { recursive: true, mode: 0o700 });
    const unlock = lockState(directory);
    try {
      const key = await loadKey(join(directory, 'client.key'), random);
      const reserved = (await readIfPresent(join(directory, 'sequence')))?.toString('utf8').trim() ?? '0';
      if (!/^\d{1,19}$/.test(reserved)) throw corrupt('sequence', 'it is not a number');
      return new StateDirectory(directory, unlock, key, BigInt(reserved));
    } catch (error) {
      unlock();
      throw error;
    }
  }

  close(): void {
    this.#unlock();
  }

  /** A number that no call of this key ever used, also not before a crash. */
  async nextSequence(): Promise<bigint> {
    const next = this.#next++;
    while (next > this.#reserved) {
      // One at a time: a call that comes meanwhile waits too, for its number is not reserved before the file is written.
      this.#reserving ??= this.#reserve(next + SEQUENCE_BLOCK).finally(() => (this.#reserving = null));
      await this.#reserving;
    }
    return next;
  }

  async #reserve(upTo: bigint): Promise<void> {
    await replaceFile(this.#path('sequence'), String(upTo));
    this.#reserved = upTo;
  }

  /** The coordinator has seen higher numbers: this directory is a restored copy, or the reservation was lost. */
  skipSequenceTo(highest: bigint): void {
    if (highest >= this.#next) this.#next = highest + 1n;
  }

  async membership(): Promise<Membership | null> {
    const stored = await readIfPresent(this.#path('membership.json'));
    if (stored === null) return null;
    return this.#parse('membership.json', stored, (value: Record<string, unknown>) => ({
      client: parseClientId(String(value['client'])),
      coordinator: String(value['coordinator']),
      coordinatorKey: readKey(value['coordinatorKey']),
      ...(value['authority'] === undefined ? {} : { authority: readKey(value['authority']) }),
      ...(value['aggregator'] === undefined ? {} : { aggregator: readKey(value['aggregator']) }),
    }));
  }

  async join({ client, coordinator, coordinatorKey, authority, aggregator }: Membership): Promise<void> {
    await replaceFile(
      this.#path('membership.json'),
      JSON.stringify({
        client,
        coordinator,
        coordinatorKey: toBase64url(coordinatorKey),
        ...(authority && { authority: toBase64url(authority) }),
        ...(aggregator && { aggregator: toBase64url(aggregator) }),
      }),
    );
  }

  /** The part in a session of secure aggregation that is under way; it holds the secrets of that session. */
  async protocol(): Promise<ProtocolJournal | null> {
    const stored = await readIfPresent(this.#path('protocol.bin'));
    if (stored === null) return null;
    try {
      const reader = new Reader(new Uint8Array(stored));
      const round = parseRoundId(reader.text(80)).id;
      const admitted = reader.u8() === 1;
      const state = reader.blob(reader.remaining);
      reader.end();
      return { round, admitted, state };
    } catch (cause) {
      throw corrupt('protocol.bin', 'it does not parse', cause);
    }
  }

  async keepProtocol({ round, admitted, state }: ProtocolJournal): Promise<void> {
    const bytes = new Writer()
      .text(round)
      .u8(admitted ? 1 : 0)
      .blob(state)
      .finish();
    await replaceFile(this.#path('protocol.bin'), bytes);
  }

  async dropProtocol(): Promise<void> {
    await removeFile(this.#path('protocol.bin'));
  }

  /** The highest serial of a roster seen from the authority. */
  async rosterSerial(): Promise<number> {
    const stored = (await readIfPresent(this.#path('roster-serial')))?.toString('utf8') ?? '0';
    const serial = Number(stored);
    // An empty file would pass for 0, and an old roster for a new one.
    if (!/^\d+$/.test(stored) || !Number.isSafeInteger(serial)) throw corrupt('roster-serial', 'it is not a number');
    return serial;
  }

  async noteRosterSerial(serial: number): Promise<void> {
    if (serial > (await this.rosterSerial())) await replaceFile(this.#path('roster-serial'), String(serial));
  }

  /** How rounds of this task were protected before, or null: tasks never change. */
  async protectionOf(task: TaskId): Promise<string | null> {
    return (await this.#protectedTasks()).get(task) ?? null;
  }

  /** The first word on a task stays; `shares:<key>` says more than `shares` and takes its place. */
  async noteProtected(task: TaskId, protection: string): Promise<void> {
    const known = await this.#protectedTasks();
    const before = known.get(task);
    if (before !== undefined && !protection.startsWith(`${before}:`)) return;
    const all = Object.fromEntries([...known, [task, protection]]);
    await replaceFile(this.#path('protected-tasks.json'), JSON.stringify(all));
  }

  async #protectedTasks(): Promise<ReadonlyMap<string, string>> {
    const stored = await readIfPresent(this.#path('protected-tasks.json'));
    return stored === null ? new Map() : this.#parse('protected-tasks.json', stored, protectionsIn);
  }

  /** What this device has given away, round by round. */
  async charges(): Promise<{ readonly round: RoundId; readonly event: PrivacyEvent }[]> {
    const stored = await readIfPresent(this.#path('privacy.jsonl'));
    if (stored === null) return [];
    const lines = stored
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '');
    return lines.map((line) =>
      this.#parse('privacy.jsonl', Buffer.from(line), (value: Record<string, unknown>) => ({
        round: parseRoundId(String(value['round'])).id,
        event: parsePrivacyEvent(value['event']),
      })),
    );
  }

  /** Once for each round. The whole file is written anew: a line that was torn would hide what it counted. */
  async noteCharge(round: RoundId, event: PrivacyEvent): Promise<void> {
    const known = await this.charges();
    if (known.some((charge) => charge.round === round)) return;
    const lines = [...known, { round, event }].map((charge) => JSON.stringify(charge));
    await replaceFile(this.#path('privacy.jsonl'), `${lines.join('\n')}\n`);
  }

  /** What this device has given away of its examples, training by training. */
  async exampleCharges(): Promise<(StepsCharge & { readonly round: RoundId })[]> {
    const stored = await readIfPresent(this.#path('examples.jsonl'));
    const lines = (stored?.toString('utf8') ?? '').split('\n').filter((line) => line !== '');
    return lines.map((line) =>
      this.#parse('examples.jsonl', Buffer.from(line), (value: Record<string, unknown>) => ({
        round: parseRoundId(String(value['round'])).id,
        event: parsePrivacyEvent(value['event']),
        count: stepsOf(value['count']),
      })),
    );
  }

  /** Each training of a round: what a crash cut off is counted, and so is what comes after it. Written anew, as {@link noteCharge}. */
  async noteExampleCharge(round: RoundId, { event, count }: StepsCharge): Promise<void> {
    const known = await this.exampleCharges();
    const lines = [...known, { round, event, count }].map((charge) => JSON.stringify(charge));
    await replaceFile(this.#path('examples.jsonl'), `${lines.join('\n')}\n`);
  }

  /** What a second aggregator keeps of a round, or null. */
  async aggregation(round: RoundId): Promise<Uint8Array | null> {
    const stored = await readIfPresent(this.#aggregationPath(round));
    return stored && new Uint8Array(stored);
  }

  async keepAggregation(round: RoundId, state: Uint8Array): Promise<void> {
    await mkdir(this.#path('aggregations'), { recursive: true, mode: 0o700 });
    await replaceFile(this.#aggregationPath(round), state);
  }

  /** What a kill in the middle of a write left behind: to be called while nothing is written. */
  async dropAggregationDrafts(): Promise<void> {
    const folder = this.#path('aggregations');
    for (const name of await namesIn(folder)) if (name.endsWith('.tmp')) await removeFile(join(folder, name));
  }

  /**
   * Drops what `isOver` of the kept states.
   * @returns of which it could not be told, because they do not parse, say, and why: these stay, and keep no other from being dropped
   */
  async dropAggregations(
    isOver: (state: Uint8Array) => boolean,
  ): Promise<readonly { readonly name: string; readonly error: unknown }[]> {
    const folder = this.#path('aggregations');
    const untold = [];
    for (const name of await namesIn(folder)) {
      if (!name.endsWith('.bin')) continue;
      try {
        const stored = await readIfPresent(join(folder, name));
        if (stored !== null && isOver(new Uint8Array(stored))) await removeFile(join(folder, name));
      } catch (error) {
        untold.push({ name, error });
      }
    }
    return untold;
  }

  #aggregationPath(round: RoundId): string {
    return join(this.#path('aggregations'), `${round}.bin`);
  }

  /** The bytes first, then the description that makes them count: a crash in between leaves no update. */
  async journal(update: PendingUpdate, bytes: Uint8Array): Promise<void> {
    await replaceFile(this.#path('update.bin'), bytes);
    await replaceFile(this.#path('update.json'), JSON.stringify(update));
    await this.#note({ kind: 'sent', update: update.id, round: update.round, digest: update.digest });
  }

  async journalled(): Promise<{ readonly update: PendingUpdate; readonly bytes: Uint8Array<ArrayBuffer> } | null> {
    const stored = await readIfPresent(this.#path('update.json'));
    if (stored === null) return null;
    const update = this.#parse('update.json', stored, (value: Record<string, unknown>) => ({
      id: parseUpdateId(String(value['id'])),
      round: parseRoundId(String(value['round'])).id,
      digest: parseDigest(String(value['digest'])),
      bytes: Number(value['bytes']),
      masked: value['masked'] === true,
    }));
    const bytes = new Uint8Array((await readIfPresent(this.#path('update.bin'))) ?? []);
    if (digestOf(bytes) !== update.digest) throw corrupt('update.bin', 'its bytes are not those that were journalled');
    return { update, bytes };
  }

  async recordAdmitted(update: PendingUpdate, receipt: SignedDocument): Promise<void> {
    await this.#note({ kind: 'admitted', update: update.id, round: update.round, digest: update.digest, receipt });
    await removeFile(this.#path('update.json'));
  }

  async recordRefused(update: PendingUpdate, code: string): Promise<void> {
    await this.#note({ kind: 'refused', update: update.id, round: update.round, digest: update.digest, code });
    await removeFile(this.#path('update.json'));
  }

  /** A model's blob from an earlier round, or null. */
  async cachedBlob(digest: Digest): Promise<Uint8Array<ArrayBuffer> | null> {
    const bytes = await readIfPresent(join(this.#directory, 'blobs', digest));
    return bytes !== null && digestOf(bytes) === digest ? new Uint8Array(bytes) : null;
  }

  async cacheBlob(digest: Digest, bytes: Uint8Array): Promise<void> {
    await replaceFile(join(this.#directory, 'blobs', digest), bytes);
    const folder = join(this.#directory, 'blobs');
    // The new one stays in any case: times of files are coarse.
    const names = (await readdir(folder)).filter((name) => name !== digest);
    const aged = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })));
    const old = aged.sort((a, b) => b.at - a.at).slice(KEPT_BLOBS - 1);
    for (const { name } of old) await removeFile(join(folder, name));
  }

  /** The client's own evidence of what it sent and what was acknowledged: append-only. */
  async #note(entry: Readonly<Record<string, unknown>>): Promise<void> {
    await appendLine(this.#path('receipts.jsonl'), JSON.stringify(entry));
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  #parse<V, T>(name: string, bytes: Buffer, read: (value: V) => T): T {
    try {
      return read(JSON.parse(bytes.toString('utf8')) as V);
    } catch (cause) {
      throw corrupt(name, 'it does not parse', cause);
    }
  }
}

async function loadKey(path: string, random: RandomSource): Promise<SigningKey> {
  const stored = await readIfPresent(path);
  if (stored === null) {
    const key = generateSigningKey(random);
    await replaceFile(path, `${toHex(key.exportSeed())}\n`);
    return key;
  }
  try {
    return signingKeyFromSeed(fromHex(stored.toString('utf8').trim()));
  } catch (cause) {
    throw corrupt('client.key', 'it is not a key', cause);
  }
}

/** By task. Without a name of the protection, as an earlier version kept them, it was secure aggregation. */
function protectionsIn(value: unknown): ReadonlyMap<string, string> {
  if (Array.isArray(value)) return new Map(value.map((task) => [String(task), 'secagg']));
  const entries = Object.entries(value as Readonly<Record<string, unknown>>);
  // It is written with the first task: an empty one was not written here.
  if (entries.length === 0) throw new TypeError('no tasks');
  return new Map(entries.map(([task, protection]) => [task, String(protection)]));
}

function stepsOf(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
  throw new TypeError('no number of steps');
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function readKey(value: unknown): PublicKey {
  return parsePublicKey(fromBase64url(String(value)));
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function corrupt(name: string, why: string, cause?: unknown): ClientError {
  return new ClientError(
    'STATE_CORRUPT',
    `${name} in the state directory: ${why}. Restore it, or enrol anew with an empty directory`,
    { cause },
  );
}
