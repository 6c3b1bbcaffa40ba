/** A client behind a line that loses requests and answers: whatever is lost, everything is done once, and both sides agree on what. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultPolicies, layoutOf, parseModelName, parseTask, safetensorsHeader } from '@carapace/aggregation';
import { FederatedClient, formatJoinLink } from '@carapace/client-sdk';
import type { ClientEvent } from '@carapace/client-sdk';
import { parseConfig, startCoordinator } from '@carapace/coordinator';
import type { Running } from '@carapace/coordinator';
import { concatBytes, uniformInteger } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { faultyProxy } from './faulty-proxy.ts';
import type { Fault } from './faulty-proxy.ts';

const ROUNDS = 3;
const STEP = 1 / 64;
const MODEL = parseModelName('small');
/** Larger than a chunk of the client, so that an upload is several requests. */
const TENSORS = defaultPolicies([{ name: 'dense/kernel', shape: [1500, 1000] }]);

let directory: string;
let coordinator: Running;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'carapace-lost-'));
  const settings = { port: 0, data: join(directory, 'coordinator'), log: 'silent', reconcileSeconds: 0.5 };
  coordinator = await startCoordinator(parseConfig(settings, {}, {}));
  const zeros = new Uint8Array(4 * layoutOf(TENSORS).size);
  await coordinator.api.uploadModel(
    MODEL,
    concatBytes(safetensorsHeader(TENSORS, { topology: '{}' }), zeros),
    'system',
  );
});
afterAll(async () => {
  await coordinator.close();
  await rm(directory, { recursive: true, force: true });
});

/** Every first request of a kind loses its answer, then luck decides; but not for ever. */
function plannedFaults(seed: string): (requestLine: string) => Fault {
  const random = seededRandom(seed);
  const seen = new Set<string>();
  let left = 30;
  return (line) => {
    const kind = line.replace(/[?].*/, '').replace(/(cl|up)_\w+|[0-9a-f]{64}|[\w-]+\.\d+/g, '*');
    if (!seen.has(kind)) {
      seen.add(kind);
      return 'after';
    }
    left -= 1;
    const luck = left < 0 ? 9 : uniformInteger(random, 8);
    return (['before', 'within', 'after'] as const)[luck] ?? 'none';
  };
}

describe.each(['one', 'two', 'three'])('seed %s', (seed) => {
  test('one enrolment, one update a round, one receipt each, and the model that follows from them', async () => {
    const proxy = await faultyProxy(coordinator.url, plannedFaults(seed));
    const before = await coordinator.api.findChannel(MODEL, 'latest');
    const known = (await coordinator.api.listClients()).length;
    const { token } = await coordinator.api.createToken({ site: 'here', ttlSeconds: 600 }, 'system');
    const task = parseTask({ name: `lost-${seed}`, model: { name: MODEL }, cohort: { target: 1 }, rounds: ROUNDS });
    const events: ClientEvent[] = [];
    const stateDirectory = join(directory, `client-${seed}`);
    const client = new FederatedClient({
      stateDirectory,
      joinLink: formatJoinLink(proxy.url, token),
      random: seededRandom(`client ${seed}`),
      waitSeconds: 2,
      onEvent: (event) => void events.push(event),
      train: async ({ weights }) => ({ weights: weights.map((value) => value + STEP), examples: 10, metrics: {} }),
    });
    const stop = new AbortController();
    const running = client.run(stop.signal);
    running.catch(() => undefined);
    try {
      await coordinator.api.createTask(task, 'system');
      await completed(task.name, running);
      await receipts(stateDirectory, ROUNDS);
    } finally {
      stop.abort();
      await running;
      await proxy.close();
    }
    const hit = proxy.log.filter((fault) => fault !== 'none').length;
    expect(hit, 'the line was bad enough to show anything').toBeGreaterThan(8);
    expect((await coordinator.api.listClients()).length).toBe(known + 1);
    const after = await coordinator.api.findChannel(MODEL, 'latest');
    expect(after.version).toBe(before.version + ROUNDS);
    expect(await firstWeight(after.version)).toBe((await firstWeight(before.version)) + ROUNDS * STEP);
    const trained = events.flatMap((event) => (event.kind === 'trained' ? [event.round] : []));
    expect(new Set(trained).size, 'nothing is trained twice').toBe(trained.length);
    expect(events.filter(({ kind }) => kind === 'refused')).toEqual([]);
    const journal = await receipts(stateDirectory, ROUNDS);
    expect(journal.map(({ round }) => round).sort()).toEqual([1, 2, 3].map((number) => `lost-${seed}.${number}`));
    for (const round of await coordinator.api.listRounds(task.name, 10))
      expect(round.state).toMatchObject({ kind: 'completed', reported: 1 });
  });
});

test('a spent token ends the client with a reason, at once', async () => {
  const { token } = await coordinator.api.createToken({ site: 'here', ttlSeconds: 600 }, 'system');
  const link = formatJoinLink(coordinator.url, token);
  const run = async (name: string): Promise<void> => {
    const signal = AbortSignal.timeout(1_000);
    await new FederatedClient({
      stateDirectory: join(directory, name),
      joinLink: link,
      waitSeconds: 1,
      train: async () => Promise.reject(new Error('nothing to train')),
    }).run(signal);
  };
  await run('first');
  await expect(run('second')).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
});

test('a link that pins another key ends the client before it trusts anything', async () => {
  const { token } = await coordinator.api.createToken({ site: 'here', ttlSeconds: 600 }, 'system');
  const forged = `${token.split('.').slice(0, 3).join('.')}.${'A'.repeat(43)}`;
  const client = new FederatedClient({
    stateDirectory: join(directory, 'forged'),
    joinLink: formatJoinLink(coordinator.url, forged),
    train: async () => Promise.reject(new Error('nothing to train')),
  });
  await expect(client.run(AbortSignal.timeout(10_000))).rejects.toMatchObject({ code: 'COORDINATOR_UNTRUSTED' });
});

async function completed(name: ReturnType<typeof parseTask>['name'], running: Promise<void>): Promise<void> {
  const deadline = performance.now() + 60_000;
  const failed = running.then(() => Promise.reject(new Error('the client stopped')));
  failed.catch(() => undefined);
  while ((await Promise.race([coordinator.api.findTask(name), failed])).status !== 'completed') {
    if (performance.now() > deadline) throw new Error(`${name} did not complete within 60 s`);
    await sleep(50);
  }
}

/** What the client itself wrote down as admitted; the last receipt may still be on its way back. */
async function receipts(stateDirectory: string, count: number): Promise<{ kind: string; round: string }[]> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const lines = (await readFile(join(stateDirectory, 'receipts.jsonl'), 'utf8')).trim().split('\n');
    const admitted = lines
      .map((line) => JSON.parse(line) as { kind: string; round: string })
      .filter(({ kind }) => kind === 'admitted');
    if (admitted.length >= count || performance.now() > deadline) return admitted;
    await sleep(50);
  }
}

async function firstWeight(version: number): Promise<number> {
  const { weights } = await coordinator.api.findVersion(MODEL, version);
  const { stream } = await coordinator.api.openBlob(weights);
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts).readFloatLE(0);
}
