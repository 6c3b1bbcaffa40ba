/** What a run pins, every later run has pinned: on real state directories, and without a word to any coordinator. */
import { generateSigningKey, systemRandom } from '@carapace/crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joined } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { join } from '../src/joining.ts';
import type { JoiningOptions } from '../src/joining.ts';
import { StateDirectory } from '../src/state/state-directory.ts';
import type { Membership } from '../src/state/state-directory.ts';
import { MEMBERSHIP } from './fixtures.ts';

let directory = '';
beforeEach(async () => {
  directory = mkdtempSync(joined(tmpdir(), 'carapace-joining-'));
  await inState((state) => state.join(MEMBERSHIP));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function inState<T>(body: (state: StateDirectory) => Promise<T>): Promise<T> {
  const state = await StateDirectory.open(directory, systemRandom);
  try {
    return await body(state);
  } finally {
    state.close();
  }
}

/** One run with these flags, up to where it would call the coordinator. */
function run(flags: Pick<JoiningOptions, 'authority' | 'aggregator'> = {}): Promise<Membership> {
  const options = { name: 'x', onEvent: () => undefined, unreachableMs: null, random: systemRandom, ...flags };
  return inState((state) => join(options, state, AbortSignal.abort()));
}

const [one, other] = [generateSigningKey(systemRandom).publicKey, generateSigningKey(systemRandom).publicKey];

describe.each(['authority', 'aggregator'] as const)('the %s', (pin) => {
  test('is nobody as long as none is pinned', async () => {
    expect((await run())[pin]).toBeUndefined();
  });

  test('once pinned stays so in runs that do not name it', async () => {
    expect((await run({ [pin]: one }))[pin]).toEqual(one);
    expect((await run())[pin]).toEqual(one);
    expect((await run({ [pin]: one }))[pin]).toEqual(one);
    const second = pin === 'authority' ? 'aggregator' : 'authority';
    expect(await run({ [second]: other })).toMatchObject({ [pin]: one, [second]: other });
    expect(await run()).toMatchObject({ [pin]: one, [second]: other });
  });

  test('cannot become another', async () => {
    await run({ [pin]: one });
    await expect(run({ [pin]: other })).rejects.toMatchObject({ code: 'COORDINATOR_UNTRUSTED' });
    expect((await run())[pin]).toEqual(one);
  });
});
