/** What a device counts of noise in the clear, on disk, before anything leaves it: one update for a round, whoever asks and however often. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { layoutOf, latticeEvent, clearNoisePlan, planCentral, stepsCharge } from '@carapace/aggregation';
import type { Assignment, ClearUpdates, NoisePlacement } from '@carapace/aggregation';
import { parseRational, systemRandom } from '@carapace/crypto';
import { afterAll, expect, test } from 'vitest';
import { ownClearNoise, ownExamples } from '../src/own-noise.ts';
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

test('what training gives away of examples is counted each time, over rounds and restarts, and ends at the limit', async () => {
  const place = join(directory, 'examples');
  const training = { ...ASSIGNMENT.training, privacy: { unit: 'example', noiseMultiplier: '1', clip: 1 } as const };
  const round = (number: number): Assignment => ({ ...ASSIGNMENT, round: `mnist.${number}`, training }) as Assignment;
  const steps = stepsCharge(planCentral({ dimension: 4, noiseMultiplier: parseRational('1') }), 0.01, 100);
  // Once costs 1.68 at 1e-6, twice 1.82, three times 1.96.
  const limit = { epsilon: 1.9, delta: 1e-6 };
  let state = await StateDirectory.open(place, systemRandom);
  await ownExamples(meansOf(state, limit), round(1)).charge(steps);
  state.close();
  state = await StateDirectory.open(place, systemRandom);
  // The same round again, after a crash: its noise is new, and so is what it tells.
  const again = ownExamples(meansOf(state, limit), round(1));
  expect(() => again.requireCharged()).toThrow(/PROTECTION_REFUSED: PRIVACY_EXAMPLES/);
  await again.charge(steps);
  again.requireCharged();
  expect(await state.exampleCharges()).toEqual([1, 1].map((number) => ({ round: `mnist.${number}`, ...steps })));
  await expect(ownExamples(meansOf(state, limit), round(2)).charge(steps)).rejects.toThrow(/PRIVACY_LIMIT/);
  expect(await state.exampleCharges()).toHaveLength(2);
  // Nothing is asked of a trainer where the task asks for nothing.
  ownExamples(meansOf(state, limit), ASSIGNMENT).requireCharged();
  state.close();
});
