/** What a client keeps outlives it: every test here reopens the directory, and where it matters kills the process that had it. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDigest, parseRoundId, parseTaskId } from '@carapace/aggregation';
import { generateSigningKey, systemRandom, toHex } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StateDirectory } from '../../src/state/state-directory.ts';
import { MEMBERSHIP, UPDATE } from '../fixtures.ts';

let directory = '';
let state: StateDirectory | null = null;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'carapace-state-'));
});
afterEach(async () => {
  state?.close();
  state = null;
  for (const child of children.splice(0)) await kill(child);
  rmSync(directory, { recursive: true, force: true });
});

/** Closes what is open, and opens it again: what a test reads then came from the disk. */
async function reopened(): Promise<StateDirectory> {
  state?.close();
  state = null;
  state = await StateDirectory.open(directory, systemRandom);
  return state;
}

const path = (name: string): string => join(directory, name);
const digestOf = (bytes: Uint8Array): ReturnType<typeof parseDigest> =>
  parseDigest(createHash('sha256').update(bytes).digest('hex'));
const updateOf = (bytes: Uint8Array): typeof UPDATE => ({ ...UPDATE, digest: digestOf(bytes), bytes: bytes.length });
const corrupt = { code: 'STATE_CORRUPT' };
const locked = { code: 'STATE_LOCKED' };

interface Holder {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
  /** Resolves when there are this many lines. */
  readonly until: (count: number) => Promise<void>;
}

function hold(mode: 'hold' | 'draw'): Holder {
  const script = new URL('../processes/state-holder.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, directory, mode], { stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  let complaint = '';
  child.stderr.on('data', (piece: Buffer) => void (complaint += piece.toString()));
  const lines: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => void lines.push(line));
  const ended = once(child, 'close').then(() => [null]);
  const until = async (count: number): Promise<void> => {
    while (lines.length < count) {
      const [first] = await Promise.race([once(reader, 'line'), ended]);
      if (first === null && lines.length < count) throw new Error(`it ended: ${complaint}`);
    }
  };
  return { child, lines, until };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

describe('one process per directory', () => {
  test('a second one is refused by the name of the first, and takes over when that was killed', async () => {
    const holder = hold('hold');
    await holder.until(1);
    const second = StateDirectory.open(directory, systemRandom);
    await expect(second).rejects.toMatchObject({
      ...locked,
      message: expect.stringContaining(String(holder.child.pid)),
    });
    await kill(holder.child);
    await reopened();
    // And it is a lock again.
    const third = hold('hold');
    await expect(third.until(1)).rejects.toThrow('STATE_LOCKED');
  });

  test('one that ends in good order leaves no lock', async () => {
    const holder = hold('hold');
    await holder.until(1);
    const closed = once(holder.child, 'close');
    holder.child.stdin?.end();
    await closed;
    expect(readdirSync(directory)).not.toContain('lock');
  });

  test('the same process is refused too, and the refused one leaves the lock alone', async () => {
    const first = await reopened();
    await expect(StateDirectory.open(directory, systemRandom)).rejects.toMatchObject(locked);
    await expect(StateDirectory.open(directory, systemRandom)).rejects.toMatchObject(locked);
    first.close();
    await reopened();
  });

  test('a lock that holds nothing readable was torn by a crash', async () => {
    for (const torn of ['', '{"pid":', '{}', 'null']) {
      writeFileSync(path('lock'), torn);
      await reopened();
    }
  });

  test('a lock whose process number now belongs to another process is taken over', async (context) => {
    if (process.platform !== 'linux') context.skip('there is no /proc (run it on Linux)');
    for (const pid of [process.pid, process.ppid]) {
      writeFileSync(path('lock'), JSON.stringify({ pid, startedAt: '1' }));
      await reopened();
    }
  });

  test('a killed process that nobody has asked about holds no lock', async (context) => {
    if (process.platform !== 'linux') context.skip('there is no /proc (run it on Linux)');
    // The shell becomes `cat`, which never asks about its child.
    const script = 'exec 3<&0; "$0" "$1" "$2" <&3 & echo $!; exec cat';
    const holder = new URL('../processes/state-holder.ts', import.meta.url).pathname;
    const parent = spawn('/bin/sh', ['-c', script, process.execPath, holder, directory], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(parent);
    const lines: string[] = [];
    const reader = createInterface({ input: parent.stdout });
    reader.on('line', (line) => void lines.push(line));
    while (lines.length < 2) await once(reader, 'line');
    const pid = Number(lines.find((line) => line !== 'open'));
    process.kill(pid, 'SIGKILL');
    while (!readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z')) await sleep(10);
    expect(readdirSync(directory)).toContain('lock');
    await reopened();
  });

  test('a directory that cannot be opened is not left locked', async () => {
    writeFileSync(path('client.key'), 'no key');
    await expect(StateDirectory.open(directory, systemRandom)).rejects.toMatchObject(corrupt);
    rmSync(path('client.key'));
    await reopened();
  });
});

describe('the key', () => {
  test('is made once, and only its owner may read it', async () => {
    state = await StateDirectory.open(directory, seededRandom('key'));
    const { publicKey } = state.key;
    expect(publicKey).toEqual(generateSigningKey(seededRandom('key')).publicKey);
    expect((await reopened()).key.publicKey).toEqual(publicKey);
    expect(statSync(path('client.key')).mode & 0o777).toBe(0o600);
  });

  test.each(['', 'zz', 'ab'.repeat(31), 'AB'.repeat(32)])('is not "%s"', async (text) => {
    writeFileSync(path('client.key'), text);
    await expect(StateDirectory.open(directory, systemRandom)).rejects.toMatchObject(corrupt);
  });
});

describe('sequence numbers', () => {
  test('never repeat, however often the directory is closed, reopened and skips ahead', async () => {
    const turns = fc.array(fc.record({ draws: fc.nat(4), skip: fc.option(fc.bigInt(0n, 5_000n)) }), { maxLength: 6 });
    let highest = 0n;
    await fc.assert(
      fc.asyncProperty(turns, async (plan) => {
        for (const { draws, skip } of plan) {
          const opened = await reopened();
          if (skip !== null) opened.skipSequenceTo(skip);
          for (let i = 0; i < draws; i++) {
            const number = await opened.nextSequence();
            expect(number > highest && (skip === null || number > skip)).toBe(true);
            highest = number;
          }
        }
      }),
      { numRuns: 15 },
    );
  });

  test('never repeat after kill -9', async () => {
    let highest = 0n;
    for (const wanted of [2, 700, 1_900]) {
      const holder = hold('draw');
      await holder.until(wanted);
      await kill(holder.child);
      const numbers = holder.lines.slice(1).map(BigInt);
      for (const number of numbers) {
        expect(number > highest).toBe(true);
        highest = number;
      }
    }
    expect((await (await reopened()).nextSequence()) > highest).toBe(true);
  });

  test('are on the disk before they are given out, also to calls at the same time', async () => {
    const opened = await reopened();
    const onDisk = (): bigint => BigInt(readFileSync(path('sequence'), 'utf8'));
    const calls = Array.from({ length: 2_500 }, () =>
      opened.nextSequence().then((number) => ({ number, reserved: onDisk() })),
    );
    const drawn = await Promise.all(calls);
    expect(drawn.filter(({ number, reserved }) => number > reserved)).toEqual([]);
    expect(new Set(drawn.map(({ number }) => number)).size).toBe(calls.length);
  });

  test('are not given out when they cannot be reserved', async () => {
    const opened = await reopened();
    // A directory where the draft of the file would go.
    mkdirSync(path('sequence.tmp'));
    await expect(opened.nextSequence()).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(opened.nextSequence()).rejects.toMatchObject({ code: 'EISDIR' });
    rmdirSync(path('sequence.tmp'));
    expect((await opened.nextSequence()) <= BigInt(readFileSync(path('sequence'), 'utf8'))).toBe(true);
  });

  test.each(['', '-1', '1.5', 'x', '9'.repeat(20)])('do not go on from "%s"', async (text) => {
    writeFileSync(path('sequence'), text);
    await expect(StateDirectory.open(directory, systemRandom)).rejects.toMatchObject(corrupt);
  });
});

describe('the membership', () => {
  const authority = generateSigningKey(seededRandom('authority')).publicKey;

  test.each([MEMBERSHIP, { ...MEMBERSHIP, authority }])('comes back as it was joined', async (membership) => {
    expect(await (await reopened()).membership()).toBeNull();
    await state?.join(membership);
    expect(await (await reopened()).membership()).toEqual(membership);
  });

  test.each(['', '{}', 'null', '{"client":"cl_x","coordinator":"https://a","coordinatorKey":"AA"}'])(
    'is not %s',
    async (text) => {
      writeFileSync(path('membership.json'), text);
      await expect((await reopened()).membership()).rejects.toMatchObject(corrupt);
    },
  );
});

describe('the journal of updates', () => {
  test('gives back every byte', async () => {
    expect(await (await reopened()).journalled()).toBeNull();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5_000 }), fc.boolean(), async (bytes, masked) => {
        const update = { ...updateOf(bytes), masked };
        await (await reopened()).journal(update, bytes);
        const kept = await (await reopened()).journalled();
        expect(kept?.update).toEqual(update);
        expect(toHex(kept?.bytes ?? new Uint8Array(1))).toBe(toHex(bytes));
      }),
      { numRuns: 15 },
    );
  });

  test('has no update when a crash left its bytes without their description', async () => {
    await reopened();
    writeFileSync(path('update.bin'), Uint8Array.of(1, 2, 3));
    writeFileSync(path('update.json.tmp'), '{"id":');
    expect(await (await reopened()).journalled()).toBeNull();
  });

  test('takes the next update over what a crash left', async () => {
    writeFileSync(path('update.bin.tmp'), new Uint8Array(100));
    writeFileSync(path('update.bin'), new Uint8Array(100));
    const bytes = Uint8Array.of(7);
    await (await reopened()).journal(updateOf(bytes), bytes);
    expect((await (await reopened()).journalled())?.bytes).toEqual(bytes);
  });

  test('does not take bytes that are not those it wrote', async () => {
    const bytes = new Uint8Array(200).fill(5);
    await (await reopened()).journal(updateOf(bytes), bytes);
    for (const wrong of [bytes.with(100, 6), bytes.subarray(1), new Uint8Array(0)]) {
      writeFileSync(path('update.bin'), wrong);
      await expect((await reopened()).journalled()).rejects.toMatchObject(corrupt);
    }
    rmSync(path('update.bin'));
    await expect((await reopened()).journalled()).rejects.toMatchObject(corrupt);
  });

  test.each(['', '{', 'null', '{}', '{"id":"up_x"}'])('does not take the description %s', async (text) => {
    writeFileSync(path('update.json'), text);
    await expect((await reopened()).journalled()).rejects.toMatchObject(corrupt);
  });

  test('ends with an answer, and the receipts keep what became of each update, in order', async () => {
    const receipt = { document: 'e30', signature: 'AA' } as unknown as Parameters<StateDirectory['recordAdmitted']>[1];
    const [first, second] = [Uint8Array.of(1), Uint8Array.of(2)];
    await (await reopened()).journal(updateOf(first), first);
    await (await reopened()).recordAdmitted(updateOf(first), receipt);
    expect(await (await reopened()).journalled()).toBeNull();
    await (await reopened()).journal(updateOf(second), second);
    await (await reopened()).recordRefused(updateOf(second), 'LATE');
    expect(await (await reopened()).journalled()).toBeNull();
    const lines = readFileSync(path('receipts.jsonl'), 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { kind: 'sent', digest: digestOf(first) },
      { kind: 'admitted', digest: digestOf(first), receipt },
      { kind: 'sent', digest: digestOf(second) },
      { kind: 'refused', digest: digestOf(second), code: 'LATE' },
    ]);
  });
});

describe('the journal of the protocol', () => {
  const round = parseRoundId('mnist.3').id;
  const next = parseRoundId('mnist.4').id;

  test('gives back the last state kept, until it is dropped', async () => {
    expect(await (await reopened()).protocol()).toBeNull();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (bytes) => {
        await (await reopened()).keepProtocol({ round, admitted: false, state: Uint8Array.of(1, 2, 3) });
        await (await reopened()).keepProtocol({ round: next, admitted: true, state: bytes });
        const kept = await (await reopened()).protocol();
        expect([kept?.round, kept?.admitted]).toEqual([next, true]);
        expect(toHex(kept?.state ?? new Uint8Array(1))).toBe(toHex(bytes));
        await (await reopened()).dropProtocol();
        expect(await (await reopened()).protocol()).toBeNull();
        // Its secrets are gone, too.
        expect(readdirSync(directory).filter((name) => name.startsWith('protocol'))).toEqual([]);
      }),
      { numRuns: 10 },
    );
    await state?.dropProtocol();
  });

  test('does not take half of it, or more than it', async () => {
    await (await reopened()).keepProtocol({ round, admitted: false, state: new Uint8Array(50) });
    const whole = new Uint8Array(readFileSync(path('protocol.bin')));
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path('protocol.bin'), whole.subarray(0, length));
      await expect(state?.protocol()).rejects.toMatchObject(corrupt);
    }
    writeFileSync(path('protocol.bin'), Uint8Array.of(...whole, 0));
    await expect(state?.protocol()).rejects.toMatchObject(corrupt);
  });

  test('only its owner may read it', async () => {
    await (await reopened()).keepProtocol({ round, admitted: false, state: new Uint8Array(50) });
    expect(statSync(path('protocol.bin')).mode & 0o777).toBe(0o600);
  });
});

describe('the serial of the roster', () => {
  test('only rises', async () => {
    expect(await (await reopened()).rosterSerial()).toBe(0);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(1_000), { maxLength: 6 }), async (serials) => {
        for (const serial of serials) {
          const before = await (await reopened()).rosterSerial();
          await state?.noteRosterSerial(serial);
          expect(await (await reopened()).rosterSerial()).toBe(Math.max(before, serial));
        }
      }),
      { numRuns: 10 },
    );
  });

  test.each(['', '-1', 'x', '1.5', '1e400', '9'.repeat(20)])(
    'is not "%s", and no roster is noted over it',
    async (text) => {
      writeFileSync(path('roster-serial'), text);
      await expect((await reopened()).rosterSerial()).rejects.toMatchObject(corrupt);
      await expect(state?.noteRosterSerial(7)).rejects.toMatchObject(corrupt);
    },
  );
});

describe('tasks that were protected', () => {
  test('are remembered, each for itself', async () => {
    const [one, two, three] = ['one', 'two', 'three'].map(parseTaskId);
    await (await reopened()).noteProtected(one!, 'secagg');
    await (await reopened()).noteProtected(two!, 'shares');
    await (await reopened()).noteProtected(one!, 'shares');
    const opened = await reopened();
    expect(await opened.protectionOf(one!)).toBe('secagg');
    expect(await opened.protectionOf(two!)).toBe('shares');
    expect(await opened.protectionOf(three!)).toBeNull();
  });

  test('are those of an earlier version too, which knew one protection', async () => {
    writeFileSync(path('protected-tasks.json'), '["one"]');
    await (await reopened()).noteProtected(parseTaskId('two'), 'shares');
    expect(await (await reopened()).protectionOf(parseTaskId('one'))).toBe('secagg');
    expect(await state?.protectionOf(parseTaskId('two'))).toBe('shares');
  });

  test.each(['', '{}', 'null', '["one"', '{"one":"secagg"'])(
    'are not %s: a forgotten one could be taken for unprotected',
    async (text) => {
      writeFileSync(path('protected-tasks.json'), text);
      await expect((await reopened()).protectionOf(parseTaskId('one'))).rejects.toMatchObject(corrupt);
    },
  );
});

describe('the rounds of a second aggregator', () => {
  const [first, second] = ['one.1', 'one.2'].map((id) => parseRoundId(id).id);

  test('keep their bytes, each for itself, until they are over', async () => {
    expect(await (await reopened()).aggregation(first!)).toBeNull();
    await state?.dropAggregations(() => true);
    await state?.keepAggregation(first!, Uint8Array.of(1));
    await state?.keepAggregation(second!, Uint8Array.of(2));
    await state?.keepAggregation(first!, Uint8Array.of(3));
    await (await reopened()).dropAggregations(([byte]) => byte === 2);
    expect(await (await reopened()).aggregation(first!)).toEqual(Uint8Array.of(3));
    expect(await state?.aggregation(second!)).toBeNull();
    expect(statSync(join(path('aggregations'), `${first!}.bin`)).mode & 0o077).toBe(0);
  });

  test('one that cannot be judged is told, stays, and keeps no other from being dropped', async () => {
    const opened = await reopened();
    for (const [i, round] of [first!, second!, parseRoundId('mnist.9').id].entries())
      await opened.keepAggregation(round, Uint8Array.of(i));
    const untold = await opened.dropAggregations(([byte]) => {
      if (byte === 1) throw new TypeError('it does not parse');
      return true;
    });
    expect(untold).toMatchObject([{ name: `${second!}.bin`, error: { message: 'it does not parse' } }]);
    expect(readdirSync(path('aggregations'))).toEqual([`${second!}.bin`]);
  });

  test('what a kill left half-written is no state, and goes at the start', async () => {
    const opened = await reopened();
    await opened.keepAggregation(first!, Uint8Array.of(1));
    for (const content of ['', 'torn'])
      writeFileSync(join(path('aggregations'), `other${content.length}.bin.tmp`), content);
    expect(await opened.dropAggregations(() => false)).toEqual([]);
    expect(await opened.aggregation(first!)).toEqual(Uint8Array.of(1));
    await (await reopened()).dropAggregationDrafts();
    expect(readdirSync(path('aggregations'))).toEqual([`${first!}.bin`]);
  });
});

describe('blobs of earlier rounds', () => {
  const blob = (content: number): Uint8Array => new Uint8Array(100).fill(content);

  test('are given back when they are what their digest says', async () => {
    const bytes = blob(1);
    expect(await (await reopened()).cachedBlob(digestOf(bytes))).toBeNull();
    await state?.cacheBlob(digestOf(bytes), bytes);
    expect(await (await reopened()).cachedBlob(digestOf(bytes))).toEqual(bytes);
    for (const wrong of [blob(2), bytes.subarray(1), new Uint8Array(0)]) {
      writeFileSync(join(directory, 'blobs', digestOf(bytes)), wrong);
      expect(await (await reopened()).cachedBlob(digestOf(bytes))).toBeNull();
    }
    await state?.cacheBlob(digestOf(bytes), bytes);
    expect(await (await reopened()).cachedBlob(digestOf(bytes))).toEqual(bytes);
  });

  test('are six at most, the newest among them', async () => {
    await reopened();
    for (let i = 0; i < 20; i++) {
      await state?.cacheBlob(digestOf(blob(i)), blob(i));
      expect(await state?.cachedBlob(digestOf(blob(i)))).toEqual(blob(i));
      expect(readdirSync(join(directory, 'blobs'))).toHaveLength(Math.min(i + 1, 6));
    }
  });
});
