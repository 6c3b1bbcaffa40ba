/** What a device counts of noise in the clear, on disk, before anything leaves it: one update for a round, whoever asks and however often. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layoutOf, latticeEvent, clearNoisePlan } from '@carapace/aggregation';
import type { Assignment, ClearUpdates, NoisePlacement } from '@carapace/aggregation';
import { systemRandom } from '@carapace/crypto';
import { afterAll, expect, test } from 'vitest';
import { ownClearNoise } from '../src/own-noise.ts';
import type { OwnNoiseMeans } from '../src/own-noise.ts';
import { StateDirectory } from '../src/state/state-directory.ts';
import { ASSIGNMENT } from './fixtures.ts';

const directory = await mkdtemp(join(tmpdir(), 'carapace-own-noise-'));
afterAll(() => rm(directory, { recursive: true, force: true }));

const layout = layoutOf([{ name: 'w', shape: [4], policy: 'mean' }]);
const protectionOf = (placement: NoisePlacement): ClearUpdates => ({
  kind: 'clear',
  privacy: { placement, noise: 'discrete-gaussian', noiseMultiplier: '2', clip: 1, colluding: 0, budgets: [] },
});
const assigned = (placement: NoisePlacement, round = 'mnist.1'): Assignment =>
  ({ ...ASSIGNMENT, round, protection: protectionOf(placement) }) as Assignment;
const meansOf = (state: StateDirectory, limit: OwnNoiseMeans['limit'] = null): OwnNoiseMeans => ({
  state,
  limit,
  random: systemRandom,
  onEvent: () => undefined,
});

test('a round is counted before its update is made, and gets no second one, not after a restart either', async () => {
  const place = join(directory, 'once');
  let state = await StateDirectory.open(place, systemRandom);
  // A crash while it trains: nothing was made, nothing is counted.
  await ownClearNoise(meansOf(state), assigned('local'), layout);
  expect(await state.charges()).toEqual([]);
  const noise = await ownClearNoise(meansOf(state), assigned('local'), layout);
  expect(await noise?.contribution(new Float32Array(4))).toHaveLength(4);
  const event = latticeEvent(clearNoisePlan(protectionOf('local'), 4)!);
  expect(await state.charges()).toEqual([{ round: 'mnist.1', event }]);
  state.close();
  state = await StateDirectory.open(place, systemRandom);
  await expect(ownClearNoise(meansOf(state), assigned('local'), layout)).rejects.toThrow(/PRIVACY_SPENT/);
  expect(await ownClearNoise(meansOf(state), assigned('local', 'mnist.2'), layout)).not.toBeNull();
  state.close();
});

test('a limit counts local noise, and takes neither none nor the coordinator’s', async () => {
  const state = await StateDirectory.open(join(directory, 'limit'), systemRandom);
  // At z = 2, one round costs 2.4 at 1e-6.
  const limited = meansOf(state, { epsilon: 3, delta: 1e-6 });
  await expect(ownClearNoise(limited, assigned('central'), layout)).rejects.toThrow(/PRIVACY_CENTRAL/);
  await expect(ownClearNoise(limited, ASSIGNMENT, layout)).rejects.toThrow(/PRIVACY_NONE/);
  const first = await ownClearNoise(limited, assigned('local'), layout);
  await first?.contribution(new Float32Array(4));
  await expect(ownClearNoise(limited, assigned('local', 'mnist.2'), layout)).rejects.toThrow(/PRIVACY_LIMIT/);
  state.close();
});
