/** One holder that has the key whole: the sum is exact, and each party refuses what it has to. */
import {
  decodeHolder,
  encodeHolder,
  encodeSealSession,
  joinAsHolder,
  judgeSoleSum,
  laneCount,
  makeSoleKey,
  maskOfInput,
  openingRequest,
  openMaskTally,
  openSealRing,
  openSole,
  openSoleKey,
  sealContextOf,
  sealLanesOf,
  takeOpening,
} from '@carapace/aggregation';
import type { HolderOutcome, SealSession, SoleHolder, TakenOpening } from '@carapace/aggregation';
import { closedSum, holderStandingOf, identityOf, makeSealWorld, sealInputOf } from '@carapace/aggregation/testing';
import { sha256 } from '@carapace/crypto';
import type { Bgv } from '@carapace/crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeSoleKey, decodeSoleSum, encodeSoleKey, encodeSoleSum } from '../../src/seal/wire/sole-holder.ts';

const N = 5;
const code = (judged: object): unknown => ('code' in judged ? judged.code : judged);
const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));

describe.each(['n2048-54', 'n4096-86'] as const)('in the ring %s', (profile) => {
  const world = makeSealWorld(profile, N, { arrangement: 'holder', threshold: 1, profile });
  const { session, random } = world;
  const context = sealContextOf(session);
  const identity = identityOf(world, 1);
  const lanes = Array.from({ length: N }, () => {
    const format = sealLanesOf(session);
    return new Uint32Array(random.bytes(4 * laneCount(format)).buffer).map((word) => word & format.laneMax);
  });
  let bgv: Bgv;
  let holder: SoleHolder;
  let inputs: ReadonlyMap<number, Uint8Array>;
  let agreed: { readonly publicKey: Uint8Array };
  beforeAll(async () => {
    bgv = await openSealRing(session);
    const invitation = { session: encodeSealSession(session), roster: world.roster };
    expect(joinAsHolder(invitation, holderStandingOf(world, 1))).toMatchObject({ kind: 'done', number: 1 });
    holder = reloaded(makeSoleKey(bgv, session, identity));
    agreed = decodeSoleKey(context, holder.outbox);
    inputs = new Map([0, 1, 3, 4].map((i) => [i, sealInputOf(world, bgv, i, lanes[i]!, holder.outbox)]));
  });
  afterAll(() => {
    bgv.free();
  });

  const sum = (): ReturnType<typeof closedSum> => closedSum(world, bgv, { agreed }, inputs, [1]);

  /** As it answers after a crash. */
  function answer(
    state: SoleHolder,
    request: Uint8Array,
    body: Uint8Array,
  ): HolderOutcome<{ readonly answer: Uint8Array }> {
    const taken = takeOpening(state, request);
    if (taken.kind === 'refused') return taken;
    const tally = openMaskTally(bgv, taken.request);
    for (const { member } of taken.request.contributions)
      expect(tally.add(member, maskOfInput(session, inputs.get(member)!))).toBeNull();
    const mask = tally.sum();
    tally.free();
    const kept: TakenOpening<SoleHolder> = { ...taken, state: reloaded(taken.state as SoleHolder) };
    return openSole(bgv, kept, { body, mask }, identity);
  }

  test('the sum of those who spoke is exact', () => {
    const { request, body } = sum();
    const opened = answer(holder, request, body);
    if (opened.kind === 'refused') throw new Error(opened.why);
    const total = lanes[0]!.map((_, i) => [...inputs.keys()].reduce((all, member) => all + lanes[member]![i]!, 0));
    expect(judgeSoleSum(session, request, opened.answer)).toEqual({ kind: 'agreed', value: total });
  });

  test('one client’s ciphertext, fewer than the minimum, a second set or a second body: refused', () => {
    const { request, contributions, body } = sum();
    const asked = (change: object): Uint8Array =>
      openingRequest(session, { quorum: [1], bodyDigest: sha256(body), contributions, ...change });
    expect(code(takeOpening(holder, asked({ contributions: contributions.slice(0, 1) })))).toBe('SECAGG_COHORT_SMALL');
    const taken = takeOpening(holder, request);
    if (taken.kind === 'refused') throw new Error(taken.why);
    const after = reloaded(taken.state as SoleHolder);
    expect(takeOpening(after, request)).toMatchObject({ kind: 'done' });
    expect(code(takeOpening(after, asked({ contributions: contributions.slice(1) })))).toBe('SECAGG_DUPLICATE');
    expect(code(takeOpening(after, asked({ bodyDigest: sha256(context) })))).toBe('SECAGG_DUPLICATE');
    expect(code(takeOpening(holder, asked({ quorum: [2] })))).toBe('SECAGG_MEMBER');
  });

  test('bodies other than those of the request, or of one client alone, open nothing', () => {
    const { request, contributions, body } = sum();
    expect(code(answer(holder, request, flipped(body)))).toBe('SECAGG_SHARE_WRONG');
    const one = closedSum(world, bgv, { agreed }, new Map([[0, inputs.get(0)!]]), [1]).body;
    const swapped = openingRequest(session, { quorum: [1], bodyDigest: sha256(one), contributions });
    expect(code(answer(holder, swapped, one))).toBe('SECAGG_LANE');
  });

  test('a key or a sum that the holder did not sign is refused, and a committee’s session takes no such key', () => {
    const key = decodeSoleKey(context, holder.outbox);
    expect(code(openSoleKey(session, encodeSoleKey(context, { ...key, publicKey: flipped(key.publicKey) })))).toBe(
      'SECAGG_SIGNATURE',
    );
    const { session: other } = makeSealWorld('committee', N);
    const misplaced = encodeSoleKey(sealContextOf(other), key);
    expect(code(openSoleKey(other, misplaced))).toBe('SECAGG_KEY');
    const { request, body } = sum();
    const opened = answer(holder, request, body);
    if (opened.kind === 'refused') throw new Error(opened.why);
    const answered = decodeSoleSum(context, opened.answer);
    const told = (change: object): Uint8Array => encodeSoleSum(context, { ...answered, ...change });
    expect(code(judgeSoleSum(session, request, told({ sums: flipped(answered.sums) })))).toBe('SECAGG_SIGNATURE');
    expect(code(judgeSoleSum(session, flipped(request), opened.answer))).toBe('SECAGG_CONTEXT');
  });
});

test('one key has one holder', () => {
  const { session } = makeSealWorld('two', N);
  const change: Partial<SealSession> = { arrangement: 'holder', threshold: 1 };
  expect(() => encodeSealSession({ ...session, ...change })).toThrow(
    expect.objectContaining({ code: 'SECAGG_PARAMETERS' }),
  );
});

function reloaded(state: SoleHolder): SoleHolder {
  const kept = decodeHolder(encodeHolder(state));
  expect(kept).toEqual(state);
  return kept as SoleHolder;
}
