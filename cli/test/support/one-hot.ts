/**
 * The oracle of the fault tests: client i sends the unit vector e_i. Every coordinate of a round's sum is then the number of times
 * that client's update was counted: 0 or 1, and 1 exactly for those who hold a receipt.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { safetensorsHeader } from '@carapace/aggregation';
import type { LocalTrainer } from '@carapace/client-sdk';
import type { VersionList } from '../../src/answers.ts';
import type { OperatorCalls } from '../../src/operator-calls.ts';

/** Zeros: one tensor, a coordinate a client. */
export function oneHotModel(clients: number): Uint8Array<ArrayBuffer> {
  const header = safetensorsHeader([{ name: 'counted', shape: [clients] }], { topology: '{}' });
  const file = new Uint8Array(header.length + 4 * clients);
  file.set(header);
  return file;
}

export function oneHotTrainer(index: number, pause: () => Promise<void> = () => Promise.resolve()): LocalTrainer {
  return async ({ weights }) => {
    await pause();
    const trained = Float32Array.from(weights);
    trained[index] = (trained[index] ?? 0) + 1;
    return { weights: trained, examples: 1, metrics: {} };
  };
}

/** Rounds in which each client holds a receipt, read from the clients' own journals. */
export async function receiptsOf(stateDirectories: readonly string[]): Promise<Map<string, Set<number>>> {
  const rounds = new Map<string, Set<number>>();
  for (const [index, directory] of stateDirectories.entries()) {
    const journal = await readFile(join(directory, 'receipts.jsonl'), 'utf8');
    for (const line of journal.split('\n').filter((text) => text !== '')) {
      const { kind, round } = JSON.parse(line) as { kind: string; round: string };
      if (kind !== 'admitted') continue;
      const clients = rounds.get(round) ?? new Set();
      if (clients.has(index)) throw new Error(`client ${index} journalled two receipts for ${round}`);
      rounds.set(round, clients.add(index));
    }
  }
  return rounds;
}

/** What each published round counted: coordinates 1. @throws when a coordinate is neither 0 nor 1 */
export async function countedIn(calls: OperatorCalls, model: string): Promise<Map<string, Set<number>>> {
  const { versions } = await calls.get<VersionList>(`/v1/models/${model}/versions`);
  const rounds = new Map<string, Set<number>>();
  const weights = new Map<number, Float32Array>();
  for (const { version } of versions) {
    const bytes = await calls.download(`/v1/models/${model}/versions/${version}/weights.bin`);
    weights.set(version, new Float32Array(bytes.buffer));
  }
  for (const { version, lineage } of versions) {
    const { round, parent, cohort } = lineage;
    if (round === null || parent === null || cohort === null) continue;
    rounds.set(round, counted(weights.get(parent)!, weights.get(version)!, cohort, round));
  }
  return rounds;
}

/** The version is the base plus the mean, in float32: a multiple of 1/n is off by rounding far below the 0.01 allowed here. */
function counted(before: Float32Array, after: Float32Array, updates: number, round: string): Set<number> {
  const found = new Set<number>();
  for (let i = 0; i < after.length; i++) {
    const times = (after[i]! - before[i]!) * updates;
    if (Math.abs(times - Math.round(times)) > 0.01 || Math.round(times) < 0 || Math.round(times) > 1)
      throw new Error(`${round} counted client ${i} ${times} times`);
    if (Math.round(times) === 1) found.add(i);
  }
  return found;
}
