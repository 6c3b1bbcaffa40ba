/** One of the three parties lies; the others fail closed. */
import {
  AGGREGATION_KEPT_MS,
  decodeAggregation,
  decodeDeposit,
  decodeSharesSession,
  DEFAULT_AGGREGATOR_FLOOR,
  DEFAULT_FLOOR,
  dequantise,
  encodeAggregation,
  encodeDeposit,
  encodeSharesSession,
  forgetSecret,
  joinShares,
  laneCount,
  judgeAggregatorKey,
  judgeShareInput,
  judgeShareSum,
  newClientId,
  openAggregator,
  openAggregatorKey,
  openShares,
  sharesContextOf,
  sharesLanesOf,
  signRoster,
  sumRequest,
  takeRequest,
} from '@carapace/aggregation';
import type { AggregatorStanding, AggregatorState, Deposit, SharesSession } from '@carapace/aggregation';
import {
  addUp,
  aggregatorOf,
  aggregatorStandingOf,
  digestOf,
  inputOf,
  makeSharesWorld,
  sharesStandingOf,
} from '@carapace/aggregation/testing';
import type { SharesWorld } from '@carapace/aggregation/testing';
import { fromHex, generateSigningKey } from '@carapace/crypto';
import type { PublicKey } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkSharesSession } from '../../src/shares/session.ts';
import { decodeAggregatorKey, encodeAggregatorKey } from '../../src/shares/wire/aggregator-key.ts';
import { decodeShareInput, encodeShareInput } from '../../src/shares/wire/share-input.ts';
import { decodeShareSum, encodeShareSum } from '../../src/shares/wire/share-sum.ts';

const N = 5;
const lanes = new Uint32Array(12).fill(3);
const all = [0, 1, 2, 3, 4];

/** Everybody has spoken, up to the aggregator's key. */
function advance(world: SharesWorld) {
  const state = aggregatorOf(world);
  const inputs = all.map((member) => inputOf(world, member, lanes, state.outbox));
  const deposits = inputs.map((input, member) => depositOf(world.session, member, input));
  return { state, inputs, deposits, context: sharesContextOf(world.session) };
}

function depositOf(session: SharesSession, member: number, input: Uint8Array): Deposit {
  const judged = judgeShareInput(session, member, input);
  if (judged.kind === 'refused') throw new Error(judged.code);
  return judged.deposit;
}

const flipped = (bytes: Uint8Array): Uint8Array => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
const code = (judged: object): unknown => ('code' in judged ? judged.code : judged);

describe('a coordinator that proposes', () => {
  const world = makeSharesWorld('propose', N);
  const { session, roster } = world;
  const join = (change: Partial<SharesSession>, standing = {}, rosterBytes = roster): unknown =>
    code(
      joinShares(
        { session: encodeSharesSession({ ...session, ...change }), roster: rosterBytes },
        sharesStandingOf(world, 1, standing),
      ),
    );
  const key = (
    change: Partial<SharesSession>,
    rosterBytes = roster,
    floor = DEFAULT_AGGREGATOR_FLOOR,
    standing: Partial<AggregatorStanding> = {},
  ): unknown =>
    code(
      openAggregator(
        { session: encodeSharesSession({ ...session, ...change }), roster: rosterBytes },
        aggregatorStandingOf(world, { floor, ...standing }),
        world.random,
      ),
    );
  const stranger = generateSigningKey(world.random);
  const itself = { client: newClientId(world.random), identity: stranger.publicKey };

  test.each([
    ['itself as the aggregator', { aggregator: itself }, 'SECAGG_POLICY'],
    ['other weights', { model: digestOf('other') }, 'SECAGG_MODEL'],
    ['other work', { work: digestOf('other') }, 'SECAGG_MODEL'],
    ['another length', { values: 11 }, 'SECAGG_MODEL'],
    ['a sum of two', { minimumSurvivors: 2 }, 'SECAGG_POLICY'],
    ['another roster', { roster: digestOf('other') }, 'SECAGG_ROSTER'],
    ['a cohort without this client', { cohort: session.cohort.filter((_, i) => i !== 1) }, 'SECAGG_MEMBER'],
    ['a cohort of two', { cohort: session.cohort.slice(0, 2), minimumSurvivors: 3 }, 'SECAGG_POLICY'],
    [
      'the aggregator among the clients',
      { aggregator: { client: session.cohort[2]!.client, identity: world.aggregator.identity } },
      'SECAGG_POLICY',
    ],
    [
      'the key of a client as the aggregator’s',
      { aggregator: { client: world.aggregator.client, identity: session.cohort[2]!.identity } },
      'SECAGG_POLICY',
    ],
  ] as const)('%s is refused by the client', (_, change, refusal) => {
    expect(join(change)).toBe(refusal);
  });

  test('clients that no authority vouches for are refused by client and aggregator', () => {
    const invented = [...session.cohort.slice(0, 4), itself].sort((a, b) => (a.client < b.client ? -1 : 1));
    expect(join({ cohort: invented })).toBe('SECAGG_ROSTER');
    expect(key({ cohort: invented })).toBe('SECAGG_ROSTER');
    const own = signRoster(stranger, 1, invented);
    expect(join({ cohort: invented }, {}, own)).toBe('SECAGG_ROSTER');
    expect(key({ cohort: invented }, own)).toBe('SECAGG_ROSTER');
  });

  test('less than the floor of client or aggregator is refused', () => {
    expect(join({}, { floor: { ...DEFAULT_FLOOR, minimumCohort: N + 1 } })).toBe('SECAGG_POLICY');
    expect(join({}, { floor: { ...DEFAULT_FLOOR, minimumSurvivors: 4 } })).toBe('SECAGG_POLICY');
    expect(key({}, roster, { ...DEFAULT_AGGREGATOR_FLOOR, minimumSurvivors: 4 })).toBe('SECAGG_POLICY');
    expect(key({}, roster, { ...DEFAULT_AGGREGATOR_FLOOR, minimumCohort: N + 1 })).toBe('SECAGG_POLICY');
    expect(key({ minimumSurvivors: 2 })).toBe('SECAGG_POLICY');
    expect(key({}, roster, { ...DEFAULT_AGGREGATOR_FLOOR, rosterSerial: 2 })).toBe('SECAGG_ROSTER');
  });

  test('a session for another aggregator gets no key', () => {
    expect(key({ aggregator: itself })).toBe('SECAGG_MEMBER');
    expect(key({ aggregator: { ...itself, client: world.aggregator.client } })).toBe('SECAGG_MEMBER');
    expect(key({ aggregator: { ...itself, identity: world.aggregator.identity } })).toBe('SECAGG_MEMBER');
  });

  test('a session that costs more than the aggregator gives gets no key', () => {
    const floor = { ...DEFAULT_AGGREGATOR_FLOOR, maxValues: 10, maxAheadMs: 3_600_000 };
    const { deadline } = session;
    expect(key({}, roster, floor)).toMatchObject({ kind: 'done' });
    expect(key({ values: 11 }, roster, floor)).toBe('SECAGG_POLICY');
    expect(key({ values: 2 ** 31 })).toBe('SECAGG_POLICY');
    expect(key({ deadline: deadline + 1 }, roster, floor)).toBe('SECAGG_POLICY');
    expect(key({ deadline: Number.MAX_SAFE_INTEGER })).toBe('SECAGG_POLICY');
    const day = deadline + AGGREGATION_KEPT_MS;
    expect(key({}, roster, floor, { now: day })).toMatchObject({ kind: 'done' });
    expect(key({}, roster, floor, { now: day + 1 })).toBe('SECAGG_POLICY');
  });

  test('a client that is in the cohort under another key takes no part', () => {
    expect(join({}, { identity: stranger })).toBe('SECAGG_MEMBER');
  });

  test('without a pinned aggregator the client says whose word it takes', () => {
    const invitation = { session: encodeSharesSession(session), roster };
    const rosterKeys = { coordinator: world.authority.publicKey };
    const trusting = joinShares(invitation, sharesStandingOf(world, 1, { aggregator: null, rosterKeys }));
    expect(trusting).toMatchObject({ value: { trust: { aggregator: 'coordinator', roster: 'coordinator' } } });
    expect(joinShares(invitation, sharesStandingOf(world, 1))).toMatchObject({
      value: { member: 1, trust: { aggregator: 'pinned' } },
    });
  });

  test('whoever does not take the coordinator’s word for the clients does not take it for the aggregator', () => {
    const floor = { ...DEFAULT_FLOOR, acceptCoordinatorRoster: false };
    expect(join({}, { floor })).toMatchObject({ kind: 'agreed' });
    // The authority is pinned: that is enough, whatever the floor of this run says.
    expect(join({}, { aggregator: null })).toBe('SECAGG_POLICY');
    expect(join({}, { aggregator: null, floor })).toBe('SECAGG_POLICY');
    // Nor where the floor asks for an authority and none is pinned: then for nobody at all.
    const rosterKeys = { coordinator: world.authority.publicKey };
    expect(join({}, { aggregator: null, floor, rosterKeys })).toBe('SECAGG_ROSTER');
  });

  test('a key of its own in the place of the aggregator’s is refused', () => {
    const { outbox } = aggregatorOf(world);
    const context = sharesContextOf(session);
    const { sealingKey, signature } = decodeAggregatorKey(context, outbox);
    const other = aggregatorOf(makeSharesWorld('propose', N, { attempt: 2 }));
    const low = fromHex('00'.repeat(32));
    for (const [message, refusal] of [
      [encodeAggregatorKey(context, { sealingKey: decodeAggregatorKeyOf(other), signature }), 'SECAGG_SIGNATURE'],
      [encodeAggregatorKey(context, { sealingKey, signature: flipped(signature) }), 'SECAGG_SIGNATURE'],
      [encodeAggregatorKey(context, { sealingKey: low, signature }), 'SECAGG_KEY'],
      [other.outbox, 'SECAGG_CONTEXT'],
      [outbox.subarray(1), 'SECAGG_MALFORMED'],
      [new Uint8Array([...outbox, 0]), 'SECAGG_MALFORMED'],
    ] as const) {
      expect(code(openAggregatorKey(session, message))).toBe(refusal);
      expect(judgeAggregatorKey(session, message)?.code).toBe(refusal);
    }
    expect(judgeAggregatorKey(session, outbox)).toBeNull();
  });
});

function decodeAggregatorKeyOf({ session, outbox }: AggregatorState): Uint8Array {
  return decodeAggregatorKey(sharesContextOf(session), outbox).sealingKey;
}

describe('a coordinator that asks', () => {
  const world = makeSharesWorld('ask', N);
  const { session } = world;

  test('for two sums gets one: their difference would be one update', () => {
    const { state, deposits } = advance(world);
    const whole = addUp(state, sumRequest(session, deposits));
    expect(code(takeRequest(whole.state, sumRequest(session, deposits.slice(1))))).toBe('SECAGG_DUPLICATE');
    expect(addUp(whole.state, sumRequest(session, deposits)).answer).toEqual(whole.answer);
  });

  test('for a sum of fewer than the session says gets none, however it fills the set up', () => {
    const { state, deposits } = advance(world);
    expect(code(takeRequest(state, sumRequest(session, deposits.slice(0, 2))))).toBe('SECAGG_COHORT_SMALL');
    const [first, second, third] = deposits as [Deposit, Deposit, Deposit];
    const twice = sumRequest(session, [first, first, second]);
    expect(code(takeRequest(state, twice))).toBe('SECAGG_MALFORMED');
    const renamed = sumRequest(session, [first, { ...first, member: 1 }, { ...first, member: 2 }]);
    expect(code(takeRequest(state, renamed))).toBe('SECAGG_COHORT_SMALL');
    const stranger = sumRequest(session, [first, second, third, { ...third, member: 9 }]);
    expect(code(takeRequest(state, stranger))).toBe('SECAGG_MEMBER');
  });

  test('after the sum was told gets nothing any more: the key is gone', () => {
    const { state, deposits } = advance(world);
    const request = sumRequest(session, deposits);
    const told = encodeAggregation(forgetSecret(addUp(state, request).state));
    expect(code(takeRequest(decodeAggregation(told), request))).toBe('SECAGG_DUPLICATE');
    expect(Buffer.from(told).includes(Buffer.from(state.secret))).toBe(false);
    expect(told.length).toBeLessThan(64);
  });

  test('about too few that open is told whose do not, up to twenty', () => {
    const { state, deposits } = advance(world);
    const spoiled = deposits.map((deposit, i) =>
      i < 2 ? deposit : { ...deposit, ephemeralKey: deposit.ephemeralKey.map(() => 0) },
    );
    expect(takeRequest(state, sumRequest(session, spoiled))).toMatchObject({
      code: 'SECAGG_COHORT_SMALL',
      why: '2 shares open, at least 3 wanted; not those of the members 2, 3, 4',
    });
    const many = makeSharesWorld('many', 25);
    const strange = many.people.map((_, member) => ({ ...deposits[0]!, member }));
    expect(takeRequest(aggregatorOf(many), sumRequest(many.session, strange))).toMatchObject({
      why: expect.stringMatching(/members 0, 1, .*, 19 and 5 more$/),
    });
  });

  test('after a refusal still gets the one sum it may have', () => {
    const { state, deposits } = advance(world);
    expect(code(takeRequest(state, sumRequest(session, deposits.slice(0, 2))))).toBe('SECAGG_COHORT_SMALL');
    expect(
      decodeShareSum(sharesContextOf(session), addUp(state, sumRequest(session, deposits)).answer).members,
    ).toEqual(all);
  });

  test.each([
    ['seed', (deposit: Deposit) => ({ ...deposit, sealedSeed: flipped(deposit.sealedSeed) })],
    ['digest', (deposit: Deposit) => ({ ...deposit, payloadDigest: flipped(deposit.payloadDigest) })],
    ['key', (deposit: Deposit) => ({ ...deposit, ephemeralKey: flipped(deposit.ephemeralKey) })],
    ['signature', (deposit: Deposit) => ({ ...deposit, signature: flipped(deposit.signature) })],
  ])('with a changed %s of one deposit gets a sum without it', (_, change) => {
    const { state, deposits } = advance(world);
    const request = sumRequest(session, [change(deposits[0]!), ...deposits.slice(1)]);
    const { answer } = addUp(state, request);
    expect(decodeShareSum(sharesContextOf(session), answer).members).toEqual([1, 2, 3, 4]);
  });

  test('with deposits of another session gets none: nothing of one round can be opened in another', () => {
    const { deposits } = advance(world);
    for (const change of [{ attempt: 2 }, { model: digestOf('other') }, { minimumSurvivors: 4 }]) {
      const other = { ...world, session: { ...session, ...change } };
      const state = aggregatorOf(other);
      expect(code(takeRequest(state, sumRequest(other.session, deposits)))).toBe('SECAGG_COHORT_SMALL');
      expect(code(takeRequest(state, sumRequest(session, deposits)))).toBe('SECAGG_CONTEXT');
    }
  });

  test('cannot open a share by itself, nor with the secret of another round', () => {
    const { deposits } = advance(world);
    const again = aggregatorOf(world);
    expect(code(takeRequest(again, sumRequest(session, deposits)))).toBe('SECAGG_COHORT_SMALL');
  });
});

describe('a client that lies', () => {
  const world = makeSharesWorld('client', N);
  const { session } = world;
  const { inputs, context } = advance(world);
  const input = decodeShareInput(context, inputs[1]!);

  test.each([
    ['under another number', 2, inputs[1]!, 'SECAGG_MEMBER'],
    ['with a share of another length', 1, encoded({ payload: input.payload.subarray(8) }), 'SECAGG_LENGTH'],
    ['with another share than it deposited for', 1, encoded({ payload: flipped(input.payload) }), 'SECAGG_SHARE_WRONG'],
    ['with a nonce that does not open its digest', 1, encoded({ nonce: flipped(input.nonce) }), 'SECAGG_SHARE_WRONG'],
    [
      'without a signature of its own',
      1,
      encoded({}, { signature: flipped(input.deposit.signature) }),
      'SECAGG_SIGNATURE',
    ],
    ['with the deposit of another', 1, encoded({}, decodeShareInput(context, inputs[2]!).deposit), 'SECAGG_MEMBER'],
    ['with a byte left over', 1, new Uint8Array([...inputs[1]!, 0]), 'SECAGG_MALFORMED'],
    ['cut short', 1, inputs[1]!.subarray(0, -1), 'SECAGG_MALFORMED'],
  ] as const)('%s is refused', (_, member, message, refusal) => {
    expect(code(judgeShareInput(session, member, message))).toBe(refusal);
  });

  test('of another session is refused', () => {
    const other = makeSharesWorld('client', N, { attempt: 2 });
    const elsewhere = inputOf(other, 1, lanes, aggregatorOf(other).outbox);
    expect(code(judgeShareInput(session, 1, elsewhere))).toBe('SECAGG_CONTEXT');
  });

  function encoded(change: Partial<typeof input>, deposit: Partial<Deposit> = {}): Uint8Array {
    return encodeShareInput(context, { ...input, ...change, deposit: { ...input.deposit, ...deposit } });
  }
});

describe('an aggregator that lies', () => {
  const world = makeSharesWorld('aggregator', N);
  const { session } = world;
  const { state, inputs, deposits, context } = advance(world);
  const { answer } = addUp(state, sumRequest(session, deposits));
  const { sum } = decodeShareSum(context, answer);

  test.each([
    ['with a sum of another length', encodeShareSum(context, { members: all, sum: sum.subarray(8) }), 'SECAGG_LENGTH'],
    ['about clients nobody asked for', encodeShareSum(context, { members: [0, 1, 2, 3, 9], sum }), 'SECAGG_MEMBER'],
    ['about too few', encodeShareSum(context, { members: [0, 1], sum }), 'SECAGG_COHORT_SMALL'],
    ['with bytes left over', new Uint8Array([...answer, 0]), 'SECAGG_MALFORMED'],
    ['in another session', encodeShareSum(flipped(context), { members: all, sum }), 'SECAGG_CONTEXT'],
  ] as const)('%s is refused', (_, message, refusal) => {
    expect(code(judgeShareSum(session, all, message))).toBe(refusal);
  });

  test('about who is in the sum leaves nothing that decodes', () => {
    const opening = openShares(session, all, encodeShareSum(context, { members: [0, 1, 2, 3], sum }));
    for (const member of [0, 1, 2, 3]) opening.add(member, inputs[member]!);
    expect(opening.open()).toBeUndefined();
  });

  test('a sum of random words is no sum, also where every lane can be full', () => {
    // 257 x 255 fills 16 bits, and four lanes fill a word: nothing but the last word can tell.
    const full = makeSharesWorld('full', 257, { values: 499, quantiser: { clip: 1, bits: 8, maxWeight: 255 } });
    const everybody = full.people.map((_, member) => member);
    const key = aggregatorOf(full);
    const ones = new Uint32Array(laneCount(sharesLanesOf(full.session))).fill(100);
    const sent = everybody.map((member) => inputOf(full, member, ones, key.outbox));
    const request = sumRequest(
      full.session,
      sent.map((bytes, member) => depositOf(full.session, member, bytes)),
    );
    const fullContext = sharesContextOf(full.session);
    const told = decodeShareSum(fullContext, addUp(key, request).answer);
    const open = (words: Uint8Array): Uint32Array | undefined => {
      const opening = openShares(
        full.session,
        everybody,
        encodeShareSum(fullContext, { members: told.members, sum: words }),
      );
      for (const member of everybody) opening.add(member, sent[member]!);
      return opening.open();
    };
    const random = seededRandom('garbled').bytes(told.sum.length);
    expect(open(random)).toBeUndefined();
    // The last word right and the others random: nothing can tell, which is why the aggregator can spoil a sum.
    random.set(told.sum.subarray(-8), random.length - 8);
    expect(open(random)).toBeDefined();
    const mean = dequantise(open(told.sum)!, 257, full.session.quantiser, sharesLanesOf(full.session));
    expect(mean).toMatchObject({ weight: 257 * 100 });
  });

  test('a set of inputs that is not the sum’s is never opened', () => {
    const opening = openShares(session, all, answer);
    for (const member of [0, 1, 2, 3]) opening.add(member, inputs[member]!);
    expect(() => opening.open()).toThrow(/1 inputs/);
    expect(() => opening.add(3, inputs[3]!)).toThrow(/not in the aggregator/);
    opening.add(4, inputs[4]!);
    expect(Array.from(opening.open()!)).toEqual(Array.from(lanes, (lane) => N * lane));
  });
});

describe('what is stored', () => {
  const world = makeSharesWorld('stored', N);
  const { session } = world;
  const { state, deposits } = advance(world);

  test('reads back, and any other bytes are told', () => {
    const answered = addUp(state, sumRequest(session, deposits)).state;
    const stages = [state, answered, forgetSecret(answered)];
    for (const kept of stages) expect(decodeAggregation(encodeAggregation(kept))).toEqual(kept);
    expect(encodeDeposit(decodeDeposit(encodeDeposit(deposits[0]!)))).toEqual(encodeDeposit(deposits[0]!));
    for (const bytes of stages.map(encodeAggregation)) {
      fc.assert(
        fc.property(fc.nat(bytes.length - 1), (length) => {
          expect(() => decodeAggregation(bytes.subarray(0, length))).toThrow(/MESSAGE_INVALID/);
        }),
        { numRuns: 100 },
      );
      expect(() => decodeAggregation(new Uint8Array([...bytes, 0]))).toThrow(/MESSAGE_INVALID/);
      expect(() => decodeAggregation(bytes.map((byte, i) => (i === 5 ? 3 : byte)))).toThrow(/MESSAGE_INVALID/);
    }
  });

  test('a session is of 3 to 65,535 clients, and its sum of 3 at least and all at most', () => {
    const members = Array.from({ length: 65_536 }, (_, i) => ({
      client: `cl_${String(i).padStart(26, 'a')}` as (typeof session.cohort)[number]['client'],
      identity: new Uint8Array(new Uint32Array(8).fill(i + 1).buffer) as Uint8Array as PublicKey,
    }));
    const taken = (clients: number, minimumSurvivors: number): unknown => {
      try {
        checkSharesSession({ ...session, cohort: members.slice(0, clients), minimumSurvivors });
        return 'taken';
      } catch (error) {
        return String(error);
      }
    };
    for (const [clients, minimum] of [
      [3, 3],
      [65_535, 3],
      [65_535, 65_535],
    ] as const)
      expect([clients, minimum, taken(clients, minimum)]).toEqual([clients, minimum, 'taken']);
    for (const [clients, minimum, why] of [
      [2, 2, 'a cohort of 2'],
      [2, 3, 'a cohort of 2'],
      [3, 2, 'a sum of 2'],
      [3, 4, 'a sum of 4'],
      [65_536, 3, 'a cohort of 65536'],
    ] as const)
      expect(taken(clients, minimum)).toContain(`SECAGG_PARAMETERS: ${why}`);
  });

  test('nobody is a client and the aggregator of one round, by its name or by its key', () => {
    const { client, identity } = session.cohort[2]!;
    for (const change of [{ client }, { identity }])
      expect(() => checkSharesSession({ ...session, aggregator: { ...session.aggregator, ...change } })).toThrow(
        `SECAGG_PARAMETERS: ${client} is a client and the aggregator`,
      );
  });

  test('a session has one spelling, and every part of it is in the context', () => {
    const bytes = encodeSharesSession(session);
    expect(decodeSharesSession(bytes)).toEqual(session);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(7), (at, bit) => {
        const changed = bytes.map((byte, i) => (i === at ? byte ^ (1 << bit) : byte));
        let decoded;
        try {
          decoded = decodeSharesSession(changed);
        } catch (error) {
          expect(String(error)).toMatch(/MESSAGE_INVALID|SECAGG_PARAMETERS/);
          return;
        }
        expect(encodeSharesSession(decoded)).toEqual(changed);
        expect(sharesContextOf(decoded)).not.toEqual(sharesContextOf(session));
      }),
      { numRuns: 500 },
    );
  });
});
