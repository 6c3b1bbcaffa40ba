/** One of the parties lies; the others fail closed. */
import {
  confirmKey,
  dealShares,
  decodeHolder,
  decodeSealSession,
  DEFAULT_AGGREGATOR_FLOOR,
  DEFAULT_FLOOR,
  encodeHolder,
  encodeSealSession,
  forgetHolder,
  holderList,
  joinAsHolder,
  joinSeal,
  judgeCommitment,
  judgeConfirmation,
  judgeDeal,
  judgeOpeningShare,
  judgeSealInput,
  laneCount,
  maskOfInput,
  MOST_QUORUMS,
  newClientId,
  openingRequest,
  openMaskTally,
  openRoundKey,
  openSealedSum,
  openSealRing,
  sealContextOf,
  sealDelivery,
  sealInputBytes,
  sealLanesOf,
  takeOpening,
} from '@carapace/aggregation';
import type { Contribution, HolderStanding, KeyedHolder, SealSession, SealStanding } from '@carapace/aggregation';
import {
  answerOf,
  closedSum,
  committedHolder,
  committeeOf,
  dealtHolders,
  digestOf,
  holderStandingOf,
  identityOf,
  makeSealWorld,
  outboxes,
  sealInputOf,
  sealStandingOf,
} from '@carapace/aggregation/testing';
import type { Committee, SealWorld } from '@carapace/aggregation/testing';
import {
  commitToShare,
  commonReference,
  dealKey,
  DOMAINS,
  generateSigningKey,
  openWithShares,
  sha256,
} from '@carapace/crypto';
import type { Bgv } from '@carapace/crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commitmentText, contributionText } from '../../src/seal/derivation.ts';
import { checkSealSession } from '../../src/seal/session.ts';
import {
  decodeCommitment,
  decodeHolderList,
  encodeCommitment,
  encodeHolderList,
} from '../../src/seal/wire/commitment.ts';
import { decodeDeal, decodeDelivery, encodeDeal, encodeDelivery } from '../../src/seal/wire/deal.ts';
import { decodeOpeningRequest, decodeSealInput, encodeSealInput } from '../../src/seal/wire/input.ts';
import { decodeOpeningShare, encodeOpeningShare } from '../../src/seal/wire/opening-share.ts';
import {
  decodeConfirmation,
  decodeRoundKey,
  encodeConfirmation,
  encodeRoundKey,
} from '../../src/seal/wire/round-key.ts';

const N = 5;
const code = (judged: object | null): unknown => (judged !== null && 'code' in judged ? judged.code : judged);
const flipped = (bytes: Uint8Array, at = 0): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));

const world = makeSealWorld('attacks', N);
const { session, roster } = world;
const context = sealContextOf(session);
const lanes = new Uint32Array(laneCount(sealLanesOf(session))).fill(3);
let bgv: Bgv;
let committee: Committee;
let inputs: ReadonlyMap<number, Uint8Array>;

beforeAll(async () => {
  bgv = await openSealRing(session);
  committee = committeeOf(world, bgv, [1, 2, 3]);
  inputs = new Map([0, 1, 2, 3].map((member) => [member, sealInputOf(world, bgv, member, lanes, committee.key)]));
});
afterAll(() => {
  bgv.free();
});

const some = (...members: number[]): ReadonlyMap<number, Uint8Array> =>
  new Map(members.map((member) => [member, inputs.get(member)!]));
const holder = (number: number): KeyedHolder => committee.holders.get(number)!;
const take = (state: KeyedHolder, request: Uint8Array): unknown => code(takeOpening(state, request));
const requestOf = (contributions: readonly Contribution[], quorum = [1, 2]): Uint8Array =>
  openingRequest(session, { quorum, bodyDigest: sha256(context), contributions });

describe('a coordinator that proposes', () => {
  const stranger = generateSigningKey(world.random);
  const itself = { client: newClientId(world.random), identity: stranger.publicKey };
  const join = (change: Partial<SealSession>, standing: Partial<SealStanding> = {}): unknown =>
    code(
      joinSeal({ session: encodeSealSession({ ...session, ...change }), roster }, sealStandingOf(world, 1, standing)),
    );
  const hold = (change: Partial<SealSession>, standing: Partial<HolderStanding> = {}, number = 1): unknown =>
    code(
      joinAsHolder(
        { session: encodeSealSession({ ...session, ...change }), roster },
        holderStandingOf(world, number, standing),
      ),
    );
  const withItself = [...session.holders.slice(1), itself].sort((a, b) => (a.client < b.client ? -1 : 1));

  test.each([
    ['itself among the key holders', { holders: withItself }, 'SECAGG_POLICY'],
    ['other weights', { model: digestOf('other') }, 'SECAGG_MODEL'],
    ['other work', { work: digestOf('other') }, 'SECAGG_MODEL'],
    ['another length', { values: 11 }, 'SECAGG_MODEL'],
    ['a sum of two', { minimumSurvivors: 2 }, 'SECAGG_POLICY'],
    ['another roster', { roster: digestOf('other') }, 'SECAGG_ROSTER'],
    ['a cohort without this client', { cohort: session.cohort.filter((_, i) => i !== 1) }, 'SECAGG_MEMBER'],
    ['a client that is a key holder', { holders: [session.cohort[0]!, ...session.holders.slice(1)] }, 'SECAGG_POLICY'],
  ] as const)('%s is refused by the client', (_, change, refusal) => {
    expect(join(change)).toBe(refusal);
  });

  test('parameters other than those that the session leads to are refused, and a ring that has no room', () => {
    const bytes = encodeSealSession(session);
    expect(decodeSealSession(bytes)).toEqual(session);
    const at = Buffer.from(bytes).indexOf(session.profile) + session.profile.length;
    for (const place of [at, at + 1, at + 2, at + 3, at + 4]) {
      expect(() => decodeSealSession(flipped(bytes, place))).toThrow(
        expect.objectContaining({ code: 'SECAGG_PARAMETERS' }),
      );
    }
    // No room for the noise of a committee; one holder that opens alone; two groups that open two sums.
    for (const change of [{ profile: 'n2048-54' }, { threshold: 1 }, { holders: [], threshold: 0 }] as const) {
      expect(() => {
        checkSealSession({ ...session, ...change });
      }).toThrow(expect.objectContaining({ code: 'SECAGG_PARAMETERS' }));
    }
  });

  test('less than the floor of client or holder is refused, and a session that is not the holder’s', () => {
    expect(join({}, { floor: { ...DEFAULT_FLOOR, minimumCohort: N + 1 } })).toBe('SECAGG_POLICY');
    expect(join({}, { holders: null })).toBe('SECAGG_POLICY');
    expect(join({}, { holders: null, floor: { ...DEFAULT_FLOOR, acceptCoordinatorRoster: false } })).toBe(
      'SECAGG_POLICY',
    );
    expect(hold({}, { floor: { ...DEFAULT_AGGREGATOR_FLOOR, minimumSurvivors: 4 } })).toBe('SECAGG_POLICY');
    expect(hold({ values: 11 }, { floor: { ...DEFAULT_AGGREGATOR_FLOOR, maxValues: 10 } })).toBe('SECAGG_POLICY');
    expect(hold({ roster: digestOf('other') })).toBe('SECAGG_ROSTER');
    expect(hold({}, { client: itself.client })).toBe('SECAGG_MEMBER');
    expect(hold({}, { identity: stranger })).toBe('SECAGG_MEMBER');
  });
});

describe('the key', () => {
  test('a rogue share, chosen after the others were seen, is refused by coordinator and holders', () => {
    const committed = [1, 2, 3].map((number) => committedHolder(world, bgv, number));
    const { list, dealt } = dealtHolders(world, committed);
    const deals = outboxes(dealt);
    const rogue = dealKey(bgv, commonReference(bgv, context), world.random).publicShare;
    const chosen = encodeDeal(context, { ...decodeDeal(context, deals.get(3)!), publicShare: rogue });
    expect(code(judgeDeal(bgv, session, list, 3, chosen))).toBe('SECAGG_SHARE_WRONG');
    const told = sealDelivery(session, new Map(deals).set(3, chosen), 1);
    expect(code(confirmKey(bgv, dealt[0]!, told, identityOf(world, 1)))).toBe('SECAGG_KEY');
    expect(judgeDeal(bgv, session, list, 3, deals.get(3)!)).toBeNull();
  });

  test('two lists for two holders: neither confirms what the other dealt', () => {
    const [first, second, third] = [1, 2, 3].map((number) => committedHolder(world, bgv, number));
    const lists = [
      holderList(session, outboxes([first!, second!])),
      holderList(session, outboxes([first!, second!, third!])),
    ];
    const dealt = [first!, second!].map((state, i) => {
      const outcome = dealShares(state, lists[i]!, identityOf(world, state.number), world.random);
      if (outcome.kind === 'refused') throw new Error(outcome.why);
      return outcome.state;
    });
    const told = sealDelivery(session, outboxes(dealt), 1);
    expect(code(confirmKey(bgv, dealt[0]!, told, identityOf(world, 1)))).toBe('SECAGG_SIGNATURE');
  });

  test('a holder deals to no list with another key of its own, without itself or below the threshold', () => {
    const [first, second, third, again] = [1, 2, 3, 1].map((number) => committedHolder(world, bgv, number));
    const deal = (list: Uint8Array): unknown => code(dealShares(first!, list, identityOf(world, 1), world.random));
    expect(deal(holderList(session, outboxes([second!, again!])))).toBe('SECAGG_MEMBER');
    expect(deal(holderList(session, outboxes([second!])))).toBe('SECAGG_COHORT_SMALL');
    expect(deal(holderList(session, outboxes([second!, third!])))).toBe('SECAGG_MEMBER');
    // Even when it signed each: what it sent in a life before this state is not its own any more.
    const [own, old] = [first!, again!].map(({ outbox }) => decodeCommitment(context, outbox));
    for (const mixed of [
      { commitment: own!.commitment, sealingKey: old!.sealingKey },
      { commitment: old!.commitment, sealingKey: own!.sealingKey },
    ]) {
      const signature = identityOf(world, 1).sign(DOMAINS.sealHolder, commitmentText(context, 1, mixed));
      const message = encodeCommitment(context, { ...mixed, signature });
      const messages = new Map(outboxes([second!])).set(1, message);
      expect(deal(holderList(session, messages))).toBe('SECAGG_MEMBER');
    }
    const [listed] = decodeHolderList(context, holderList(session, outboxes([second!])));
    const swapped = encodeHolderList(context, [{ ...listed!, number: 1 }, listed!]);
    expect(deal(swapped)).toBe('SECAGG_SIGNATURE');
  });

  test('a holder confirms no key that its own is not in, or that fewer than the threshold dealt', () => {
    const committed = [1, 2, 3].map((number) => committedHolder(world, bgv, number));
    const { dealt } = dealtHolders(world, committed);
    const confirm = (dealers: number[], change = (bytes: Uint8Array): Uint8Array => bytes): unknown => {
      const deals = new Map([...outboxes(dealt)].filter(([number]) => dealers.includes(number)));
      return code(confirmKey(bgv, dealt[0]!, change(sealDelivery(session, deals, 1)), identityOf(world, 1)));
    };
    expect(confirm([2, 3])).toBe('SECAGG_MEMBER');
    expect(confirm([1])).toBe('SECAGG_COHORT_SMALL');
    const spoiled = (bytes: Uint8Array): Uint8Array =>
      encodeDelivery(
        context,
        decodeDelivery(context, bytes).map((each) => ({ ...each, sealedShare: flipped(each.sealedShare) })),
      );
    expect(confirm([1, 2], spoiled)).toBe('SECAGG_SIGNATURE');
    expect(confirm([1, 2])).toMatchObject({ kind: 'done' });
  });

  test('a client takes no key that fewer than the threshold signed, or another than they signed', () => {
    const key = decodeRoundKey(context, committee.key);
    const open = (change: Partial<typeof key>): unknown =>
      code(openRoundKey(bgv, session, encodeRoundKey(context, { ...key, ...change })));
    expect(open({ confirmed: key.confirmed.slice(1) })).toMatchObject({ kind: 'agreed' });
    expect(open({ confirmed: key.confirmed.slice(2) })).toBe('SECAGG_KEY');
    expect(open({ half: flipped(key.half) })).toBe('SECAGG_SIGNATURE');
    expect(open({ dealers: [1, 2] })).toBe('SECAGG_SIGNATURE');
    expect(open({ dealers: [2, 3] })).toBe('SECAGG_MEMBER');
    expect(open({ list: flipped(key.list) })).toBe('SECAGG_SIGNATURE');
    const own = { number: 4, signature: key.confirmed[0]!.signature };
    expect(open({ dealers: [1, 2, 3, 4], confirmed: [...key.confirmed, own] })).toBe('SECAGG_SIGNATURE');
  });

  test('the coordinator takes no commitment, deal or confirmation under another name', () => {
    const { outbox } = committedHolder(world, bgv, 1);
    expect(judgeCommitment(session, 1, outbox)).toBeNull();
    expect(code(judgeCommitment(session, 2, outbox))).toBe('SECAGG_SIGNATURE');
    expect(code(judgeCommitment(session, 4, outbox))).toBe('SECAGG_MEMBER');
    const deal = committee.deals.get(1)!;
    expect(code(judgeDeal(bgv, session, committee.list, 2, deal))).toBe('SECAGG_SHARE_WRONG');
    const fewer = encodeDeal(context, { ...decodeDeal(context, deal), packets: [] });
    expect(code(judgeDeal(bgv, session, committee.list, 1, fewer))).toBe('SECAGG_LENGTH');
    const confirmation = holder(1).outbox;
    expect(judgeConfirmation(session, committee.agreed, 1, confirmation)).toBeNull();
    expect(code(judgeConfirmation(session, committee.agreed, 2, confirmation))).toBe('SECAGG_SIGNATURE');
    const other = encodeConfirmation(context, {
      ...decodeConfirmation(context, confirmation),
      keyDigest: sha256(context),
    });
    expect(code(judgeConfirmation(session, committee.agreed, 1, other))).toBe('SECAGG_KEY');
  });

  test('a copied commitment is of no use to another holder', () => {
    const { commitment, sealingKey } = decodeCommitment(context, committedHolder(world, bgv, 1).outbox);
    const signature = identityOf(world, 2).sign(
      DOMAINS.sealHolder,
      commitmentText(context, 2, { commitment, sealingKey }),
    );
    const copied = encodeCommitment(context, { commitment, sealingKey, signature });
    expect(judgeCommitment(session, 2, copied)).toBeNull();
    const { publicShare } = decodeDeal(context, committee.deals.get(1)!);
    expect(commitToShare(context, 2, publicShare)).not.toEqual(commitToShare(context, 1, publicShare));
  });
});

describe('an input', () => {
  const judge = (member: number, message: Uint8Array): unknown =>
    code(judgeSealInput(bgv, session, committee.agreed.publicKey, member, message));

  test('has the length that is announced, and is taken from its member alone', () => {
    expect(inputs.get(0)).toHaveLength(sealInputBytes(session));
    expect(judge(0, inputs.get(0)!)).toMatchObject({ kind: 'admitted' });
    expect(judge(1, inputs.get(0)!)).toBe('SECAGG_MEMBER');
  });

  test('tampered, truncated, replayed in another session or under another key: refused', async () => {
    const input = inputs.get(0)!;
    const { contribution, body, mask } = decodeSealInput(context, input);
    const changed = (change: object): Uint8Array => encodeSealInput(context, { contribution, body, mask, ...change });
    expect(judge(0, changed({ body: flipped(body) }))).toBe('SECAGG_SHARE_WRONG');
    expect(judge(0, changed({ mask: flipped(mask) }))).toBe('SECAGG_SHARE_WRONG');
    expect(judge(0, changed({ contribution: { ...contribution, bodyDigest: sha256(mask) } }))).toBe(
      'SECAGG_SHARE_WRONG',
    );
    expect(judge(0, input.subarray(0, -1))).toBe('SECAGG_MALFORMED');
    const later = { ...session, attempt: 2 };
    const ring = await openSealRing(later);
    expect(code(judgeSealInput(ring, later, committee.agreed.publicKey, 0, input))).toBe('SECAGG_CONTEXT');
    ring.free();
    const otherKey = committeeOf(world, bgv, [1, 2]).agreed.publicKey;
    expect(code(judgeSealInput(bgv, session, otherKey, 0, input))).toBe('SECAGG_SIGNATURE');
  });

  test('signed by its member, but of other parameters, out of range or hiding nothing: refused', () => {
    const { body, mask } = decodeSealInput(context, inputs.get(0)!);
    expect(judge(0, signedInput(world, committee, body.subarray(8), mask))).toBe('SECAGG_CIPHERTEXT');
    expect(judge(0, signedInput(world, committee, new Uint8Array(body.length).fill(0xff), mask))).toBe(
      'SECAGG_CIPHERTEXT',
    );
    expect(judge(0, signedInput(world, committee, body, new Uint8Array(mask.length)))).toBe('SECAGG_CIPHERTEXT');
    expect(judge(0, signedInput(world, committee, body, mask))).toMatchObject({ kind: 'admitted' });
  });
});

describe('an opening', () => {
  const sum = (): ReturnType<typeof closedSum> => closedSum(world, bgv, committee, inputs, [1, 2]);

  test('one client’s ciphertext, or fewer than the minimum: refused', () => {
    const { contributions } = sum();
    for (const few of [1, 2])
      expect(take(holder(1), requestOf(contributions.slice(0, few)))).toBe('SECAGG_COHORT_SMALL');
    expect(take(holder(1), requestOf(contributions.slice(0, 3)))).toMatchObject({ kind: 'done' });
  });

  test('one client under several names: its signature, its mask and its place in the list give it away', () => {
    const { contributions } = sum();
    const [first] = contributions;
    const named = [1, 2, 3].map((member) => ({ ...first!, member }));
    expect(take(holder(1), requestOf(named))).toBe('SECAGG_SIGNATURE');
    expect(take(holder(1), requestOf([first!, first!, first!]))).toBe('SECAGG_MALFORMED');
    const { body, mask } = decodeSealInput(context, inputs.get(1)!);
    const copy = decodeSealInput(context, signedInput(world, committee, body, mask)).contribution;
    expect(take(holder(1), requestOf([copy, ...contributions.slice(1)]))).toBe('SECAGG_DUPLICATE');
    expect(take(holder(1), requestOf([...contributions, { ...first!, member: N }]))).toBe('SECAGG_MEMBER');
  });

  test('a second sum of one session is refused; the same one is opened with another quorum, a few times', () => {
    const { contributions } = sum();
    let state = holder(1);
    const opened = takeOpening(state, requestOf(contributions));
    if (opened.kind === 'refused') throw new Error(opened.why);
    // As it reads it after a crash.
    state = decodeHolder(encodeHolder(opened.state)) as KeyedHolder;
    expect(state).toEqual(opened.state);
    expect(take(state, requestOf(contributions.slice(1)))).toBe('SECAGG_DUPLICATE');
    expect(take(state, requestOf(contributions))).toMatchObject({ kind: 'done', state });
    expect(take(state, requestOf(contributions, [1, 3]))).toMatchObject({ kind: 'done' });
    const requests = Array.from({ length: MOST_QUORUMS }, (_, i) => sha256(Uint8Array.of(i)));
    const tired = { ...state, opened: { ...state.opened!, requests } };
    expect(take(tired, requestOf(contributions, [1, 3]))).toBe('SECAGG_DUPLICATE');
  });

  test('no quorum, a quorum without this holder, or before there is a key: refused', () => {
    const { contributions } = sum();
    for (const quorum of [[1], [2, 3], [1, 4], [1, 2, 3]])
      expect(take(holder(1), requestOf(contributions, quorum))).toBe('SECAGG_MEMBER');
    expect(code(takeOpening(committedHolder(world, bgv, 1), requestOf(contributions)))).toBe('SECAGG_ORDER');
    const forgotten = decodeHolder(encodeHolder(forgetHolder(holder(1))));
    expect(code(takeOpening(forgotten, requestOf(contributions)))).toBe('SECAGG_DUPLICATE');
    expect(encodeHolder(forgotten)).toHaveLength(46);
  });

  test('a mask that nobody signed, or that was added before, is not added', () => {
    const request = decodeOpeningRequest(context, sum().request);
    const tally = openMaskTally(bgv, request);
    const mask = maskOfInput(session, inputs.get(0)!);
    expect(code(tally.add(0, flipped(mask)))).toBe('SECAGG_SHARE_WRONG');
    expect(tally.add(0, mask)).toBeNull();
    expect(code(tally.add(0, mask))).toBe('SECAGG_MEMBER');
    expect(() => tally.sum()).toThrow('3 masks are missing');
    tally.free();
  });

  test('one holder less than the threshold, with all that the coordinator has: not one slot', () => {
    const closed = closedSum(world, bgv, committee, inputs, [1, 2]);
    const { answer } = answerOf(world, bgv, holder(1), closed.request, inputs);
    const { share } = decodeOpeningShare(context, answer);
    for (const guess of [new Uint8Array(share.length), share]) {
      expect(() => openWithShares(bgv, closed.body, [share, guess])).toThrow(
        expect.objectContaining({ code: 'SEAL_NOISE' }),
      );
    }
  });

  test('an answer of another holder, to another request or another sum of masks is refused; a spoiled one opens nothing', () => {
    const closed = sum();
    const [one, two] = [1, 2].map((number) => answerOf(world, bgv, holder(number), closed.request, inputs).answer);
    const judge = (number: number, message: Uint8Array, against = closed): unknown =>
      code(judgeOpeningShare(bgv, session, against, number, message));
    expect(judge(1, one!)).toBeNull();
    expect(judge(2, one!)).toBe('SECAGG_SIGNATURE');
    expect(judge(1, one!, { ...closed, request: requestOf(closed.contributions, [1, 3]) })).toBe('SECAGG_CONTEXT');
    expect(judge(1, one!, { ...closed, maskDigest: sha256(context) })).toBe('SECAGG_SHARE_WRONG');
    const decoded = decodeOpeningShare(context, one!);
    expect(judge(1, encodeOpeningShare(context, { ...decoded, share: flipped(decoded.share) }))).toBe(
      'SECAGG_SIGNATURE',
    );
    const fewer = closedSum(world, bgv, committee, some(0, 1, 2), [1, 2]);
    const other = answerOf(world, bgv, holder(2), fewer.request, inputs).answer;
    expect(judge(2, other)).toBe('SECAGG_CONTEXT');
    const mixed = { ...closed, body: fewer.body };
    const answers = new Map([
      [1, one!],
      [2, two!],
    ]);
    expect(openSealedSum(bgv, session, mixed, answers)).toBeUndefined();
    expect(openSealedSum(bgv, session, closed, answers)).toEqual(lanes.map((lane) => 4 * lane));
  });
});

test('every message and state is read totally: what was changed or cut short is refused, never half read', () => {
  const closed = closedSum(world, bgv, committee, inputs, [1, 2]);
  const messages: [Uint8Array, (bytes: Uint8Array) => unknown][] = [
    [encodeSealSession(session), decodeSealSession],
    [encodeHolder(holder(1)), decodeHolder],
    [encodeHolder(committedHolder(world, bgv, 2)), decodeHolder],
    [committee.list, (bytes) => decodeHolderList(context, bytes)],
    [holder(1).outbox, (bytes) => decodeConfirmation(context, bytes)],
    [closed.request, (bytes) => decodeOpeningRequest(context, bytes)],
    [committee.key, (bytes) => decodeRoundKey(context, bytes)],
  ];
  for (const [bytes, decode] of messages) {
    expect(() => decode(Uint8Array.from([...bytes.subarray(0, 200), ...bytes.subarray(200), 0]))).toThrow(
      expect.anything(),
    );
    fc.assert(
      fc.property(fc.nat(Math.min(bytes.length, 5000) - 1), (length) => {
        expect(() => decode(bytes.subarray(0, length))).toThrow(expect.objectContaining({ code: expect.any(String) }));
      }),
      { numRuns: 20, seed: 5 },
    );
  }
});

/** As member 0 signs it, whatever it is. */
function signedInput(of: SealWorld, { agreed }: Committee, body: Uint8Array, mask: Uint8Array): Uint8Array {
  const unsigned = { member: 0, bodyDigest: sha256(body), maskDigest: sha256(mask) };
  const text = contributionText(sealContextOf(of.session), sha256(agreed.publicKey), unsigned);
  const signature = of.people[0]!.key.sign(DOMAINS.sealContribution, text);
  return encodeSealInput(sealContextOf(of.session), { contribution: { ...unsigned, signature }, body, mask });
}
