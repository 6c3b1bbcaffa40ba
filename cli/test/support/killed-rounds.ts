/** Rounds in which clients die, each at a moment of its own; and whether their versions are the means of who survived. */
import { quantiserError, safetensorsHeader } from '@carapace/aggregation';
import type { ClientEvent } from '@carapace/client-sdk';
import { expect } from 'vitest';
import type { ClientList, RoundList, RoundPage, VersionList } from '../../src/answers.ts';
import type { OperatorCalls } from '../../src/operator-calls.ts';
import { restartClient } from './client-processes.ts';
import type { ClientProcess } from './client-processes.ts';
import { seededExamples, seededUpdate } from './seeded-update.ts';
import { until } from './within.ts';

export const MAX_EXAMPLES = 5;
const ROUND_MS = 150_000;

export interface KilledRounds {
  readonly task: string;
  readonly model: string;
  readonly clients: number;
  readonly killed: number;
  /** What a victim has just told when it dies. */
  readonly moments: readonly ClientEvent['kind'][];
  readonly parameters: number;
  readonly directory: string;
  readonly random: { uniform(): number };
}

/** Kills the round's victims as each comes to its moment; brings them back once the round has ended, for the next one. */
export async function killInRound(
  calls: OperatorCalls,
  { task, clients: count, killed, moments, directory, random }: KilledRounds,
  clients: readonly ClientProcess[],
  number: number,
): Promise<ClientProcess[]> {
  const id = `${task}.${number}`;
  const victims = new Map<number, ClientEvent['kind']>();
  const any = (): ClientEvent['kind'] => moments[Math.floor(random.uniform() * moments.length)]!;
  // In most rounds all die at one step, in one at all of them.
  const together = moments[(number - 1) % (moments.length + 1)];
  while (victims.size < killed) victims.set(Math.floor(random.uniform() * count), together ?? any());
  for (const client of clients) {
    const moment = victims.get(client.index);
    if (moment === undefined) continue;
    client.child.on('message', (event: ClientEvent) => {
      if (event.kind === moment && 'round' in event && event.round === id) client.child.kill('SIGKILL');
    });
  }
  await until(ROUND_MS, `${id} ends`, async () => {
    const { rounds } = await calls.get<RoundList>(`/v1/tasks/${task}/rounds?limit=2`);
    const round = rounds.find((found) => found.id === id);
    return round?.state.kind === 'completed' || round?.state.kind === 'abandoned';
  });
  return clients.map((client) => {
    client.child.removeAllListeners('message');
    client.child.on('message', (event) => client.events.push(event as ClientEvent));
    if (client.child.exitCode === null && client.child.signalCode === null) return client;
    return restartClient(client, directory);
  });
}

/** Each version is the mean of its survivors. @returns how many updates the smallest sum had */
export async function checkVersions(
  calls: OperatorCalls,
  { model, clients, parameters }: KilledRounds,
  rounds: number,
): Promise<number> {
  const { versions } = await calls.get<VersionList>(`/v1/models/${model}/versions`);
  const { clients: known } = await calls.get<ClientList>('/v1/clients');
  const indexOf = new Map(known.map(({ id, name }) => [id, Number(name.slice('client-'.length))]));
  let before = new Float32Array(parameters);
  let smallest = clients;
  expect(versions).toHaveLength(rounds + 1);
  for (const { version, lineage } of versions) {
    const bytes = await calls.download(`/v1/models/${model}/versions/${version}/weights.bin`);
    const weights = new Float32Array(bytes.buffer);
    if (lineage.round !== null) {
      const { participants } = await calls.get<RoundPage>(`/v1/rounds/${lineage.round}`);
      const survivors = participants.filter(({ status }) => status === 'reported');
      expect(survivors).toHaveLength(lineage.cohort!);
      const indices = survivors.map(({ client }) => indexOf.get(client)!);
      checkMean(weights, before, lineage.round, indices);
      smallest = Math.min(smallest, survivors.length);
    }
    before = weights;
  }
  return smallest;
}

function checkMean(after: Float32Array, before: Float32Array, round: string, survivors: readonly number[]): void {
  const weight = survivors.reduce((sum, index) => sum + seededExamples(index), 0);
  const mean = new Float64Array(after.length);
  for (const index of survivors) {
    const share = seededExamples(index) / weight;
    seededUpdate(index, round, after.length).forEach((value, i) => (mean[i]! += share * value));
  }
  const quantiser = { clip: 1, bits: 16, maxWeight: MAX_EXAMPLES };
  // Weights are float32: their own rounding is far below the quantiser's.
  const bound = quantiserError(quantiser, survivors.length, weight).worst + 1e-6;
  const worst = mean.reduce((most, value, i) => Math.max(most, Math.abs(after[i]! - before[i]! - value)), 0);
  expect(worst, `${round}: the mean of ${survivors.length} survivors`).toBeLessThan(bound);
}

/** A model without layers: one flat tensor of zeros. */
export function flatModel(parameters: number): Uint8Array<ArrayBuffer> {
  const header = safetensorsHeader([{ name: 'flat', shape: [parameters] }], { topology: '{}' });
  const file = new Uint8Array(header.length + 4 * parameters);
  file.set(header);
  return file;
}
