import {
  encodeDeposit,
  encodeShares,
  encodeSharesSession,
  joinShares,
  judgeShareInput,
  openAggregatorKey,
  quantise,
  sharesContextOf,
  sharesLanesOf,
  sumRequest,
  takeRequest,
} from '@carapace/aggregation';
import type { Deposit } from '@carapace/aggregation';
import { aggregatorOf, inputOf, makeSharesWorld, sharesStandingOf } from '@carapace/aggregation/testing';
import type { SharesWorld } from '@carapace/aggregation/testing';
import { DOMAINS, exchangeKeyFromSecret, parseExchangePublicKey, seal, subtractMask, toHex } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import { describe, expect, test } from 'vitest';
import { checkedWords } from '../../src/shares/checked-words.ts';
import { depositAssociated, depositKeyOf, depositText, payloadDigestOf } from '../../src/shares/derivation.ts';
import { wordLanesOf } from '../../src/shares/session.ts';
import { decodeAggregatorKey } from '../../src/shares/wire/aggregator-key.ts';
import { decodeShareInput } from '../../src/shares/wire/share-input.ts';

/** Six standard deviations above the mean of a chi-square with 255 degrees of freedom: one run in 10^8 alarms falsely. */
const CHI_SQUARE_LIMIT = 255 + 6 * Math.sqrt(2 * 255);

function chiSquare(bytes: Uint8Array): number {
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]!++;
  const expected = bytes.length / 256;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('what either aggregator holds of one client', () => {
  const world = makeSharesWorld('transcript', 3, { values: 80_000 });
  const { session } = world;
  const state = aggregatorOf(world);
  const inputs = [0, 255, 7].map((fill, member) => {
    const lanes = new Uint32Array(80_002).fill(fill);
    return inputOf(world, member, lanes, state.outbox);
  });
  const words = inputs.map((input) => {
    const { payload } = decodeShareInput(sharesContextOf(session), input);
    return new BigUint64Array(Uint8Array.from(payload).buffer);
  });

  test('is uniform at the coordinator, whatever the input', () => {
    for (const share of words) expect(chiSquare(new Uint8Array(share.buffer))).toBeLessThan(CHI_SQUARE_LIMIT);
  });

  test('no word of a share comes twice, within a client or between clients', () => {
    const seen = words.flatMap((share) => Array.from(share));
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('is a seed at the aggregator that was drawn without a look at the input: the same draw, whatever is hidden', () => {
    const seeds = [0, 255].map((fill) => {
      const same = makeSharesWorld('same-draw', 3);
      const key = aggregatorOf(same);
      const deposits = same.people.map((_, member) => {
        return depositIn(same, member, inputOf(same, member, new Uint32Array(12).fill(fill), key.outbox));
      });
      const taken = takeRequest(key, sumRequest(same.session, deposits));
      if (taken.kind === 'refused') throw new Error(taken.code);
      return taken.seeds;
    });
    expect(seeds[0]).toEqual(seeds[1]);
  });

  test('is at the aggregator, beside the digest, made of the same draws whatever is hidden: a deposit is made again without its input', () => {
    const world = makeSharesWorld('blind', 3);
    const { outbox } = aggregatorOf(world);
    const [first, second] = [0, 255].map((fill) => {
      const input = sent(world, outbox, new Uint32Array(12).fill(fill), seededRandom('draws'));
      expect(encodeDeposit(input.deposit)).toEqual(
        encodeDeposit(withoutInput(world, outbox, seededRandom('draws'), input.deposit.payloadDigest)),
      );
      return input;
    });
    // What is not the digest's, or bound to it, is the same; so is the nonce that hides what the digest is of.
    const { ephemeralKey, member } = first!.deposit;
    expect(second!.deposit).toMatchObject({ ephemeralKey, member });
    expect(second!.nonce).toEqual(first!.nonce);
  });

  test('is no help at the aggregator for trying inputs out: the right one does not fit its digest better than any other', () => {
    const world = makeSharesWorld('guess', 3, { values: 1, quantiser: { clip: 1, bits: 12, maxWeight: 1000 } });
    const { session } = world;
    const state = aggregatorOf(world);
    const random = seededRandom('guess');
    const lanesOf = (value: number): Uint32Array =>
      quantise(Float32Array.of(value), 417, session.quantiser, sharesLanesOf(session), random);
    const secret = lanesOf(0.3217);
    const inputs = [secret, lanesOf(0), lanesOf(1)].map((lanes, member) => inputOf(world, member, lanes, state.outbox));
    const deposits = inputs.map((input, member) => depositIn(world, member, input));
    const taken = takeRequest(state, sumRequest(session, deposits));
    if (taken.kind === 'refused') throw new Error(taken.code);
    const { nonce, payload } = decodeShareInput(sharesContextOf(session), inputs[0]!);
    const digest = toHex(deposits[0]!.payloadDigest);
    // With the seed, the weight and 4096 values to try; first with a nonce of its own, then with the one that it is never sent.
    const found = [new Uint8Array(32), nonce].map((tried) =>
      Array.from({ length: 4096 }, (_, value) => {
        const words = checkedWords(Uint32Array.of(value, 417), wordLanesOf(session));
        subtractMask(words, taken.seeds.get(0)!);
        return toHex(payloadDigestOf(tried, new Uint8Array(words.buffer))) === digest ? value : -1;
      }).filter((value) => value >= 0),
    );
    expect(found).toEqual([[], [secret[0]]]);
    for (const hidden of [nonce, payload])
      expect(Buffer.from(sumRequest(session, deposits)).includes(Buffer.from(hidden))).toBe(false);
  });

  test('the same statistic finds an input that is not shared', () => {
    expect(chiSquare(new Uint8Array(80_000).fill(3))).toBeGreaterThan(CHI_SQUARE_LIMIT);
  });
});

function depositIn(world: SharesWorld, member: number, input: Uint8Array): Deposit {
  const judged = judgeShareInput(world.session, member, input);
  if (judged.kind === 'refused') throw new Error(judged.code);
  return judged.deposit;
}

/** The message of member 0 with these draws. */
function sent(
  world: SharesWorld,
  outbox: Uint8Array,
  lanes: Uint32Array,
  random: RandomSource,
): ReturnType<typeof decodeShareInput> {
  const invitation = { session: encodeSharesSession(world.session), roster: world.roster };
  const part = joinShares(invitation, sharesStandingOf(world, 0));
  if (part.kind === 'refused') throw new Error(part.code);
  const key = openAggregatorKey(part.value.session, outbox);
  if (key.kind === 'refused') throw new Error(key.code);
  const bytes = encodeShares(part.value, key.value, lanes, world.people[0]!.key, random);
  return decodeShareInput(sharesContextOf(world.session), bytes);
}

/** Its deposit from the draws and the digest: no vector goes in. */
function withoutInput(
  world: SharesWorld,
  outbox: Uint8Array,
  random: RandomSource,
  payloadDigest: Uint8Array,
): Deposit {
  const context = sharesContextOf(world.session);
  const sealingKey = parseExchangePublicKey(decodeAggregatorKey(context, outbox).sealingKey);
  const [seed] = [random.bytes(32), random.bytes(32)] as const;
  const own = exchangeKeyFromSecret(random.bytes(32));
  const ephemeralKey = own.publicKey;
  const key = depositKeyOf(context, own, sealingKey, { ephemeralKey, sealingKey });
  const sealedSeed = seal(key, seed, depositAssociated(context, 0, payloadDigest), random);
  const unsigned = { member: 0, payloadDigest, ephemeralKey, sealedSeed };
  const signature = world.people[0]!.key.sign(DOMAINS.sharesDeposit, depositText(context, unsigned));
  return { ...unsigned, signature };
}
