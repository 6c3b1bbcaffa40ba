/** Attacks on a committee's key. What each would give if the code were another is in the name. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  checkPublicShare,
  commonReference,
  dealKey,
  encryptUnderPublicKey,
  jointPublicKey,
  keyBytes,
  openBgv,
  openingShare,
  openSum,
  openWithShares,
  sealParameters,
} from '../../src/index.ts';
import type { Bgv, Ciphertexts, Quorum } from '../../src/index.ts';
import { difference } from '../../src/seal/committee/residues.ts';
import { generateSealKey } from '../../src/seal/keys.ts';
import { bytesOfWords, wordsOf } from '../../src/seal/bytes-of.ts';
import { seededRandom } from '../../testing/index.ts';
import { dealCommittee, finished, randomValues, sharesOf, sumOf, totalOf } from './kit.ts';
import type { DealtCommittee } from './kit.ts';

const random = seededRandom('committee');
const LENGTH = 4000;

describe.each([
  [3, 2],
  [3, 3],
  [5, 4],
])('%d members, threshold %d', (members, threshold) => {
  let bgv: Bgv;
  let committee: DealtCommittee;
  let sum: Ciphertexts;
  let total: Uint32Array;

  beforeAll(async () => {
    const keys = { kind: 'committee', members, threshold } as const;
    bgv = await openBgv(sealParameters({ keys, clients: 4, maxValue: 4095, length: LENGTH }));
    committee = dealCommittee(bgv, random);
    const vectors = Array.from({ length: 4 }, () => randomValues(LENGTH, 4095, random));
    total = totalOf(vectors);
    sum = sumOf(
      bgv,
      vectors.map((values) => encryptUnderPublicKey(bgv, committee.publicKey, values)),
    );
  });
  afterAll(() => {
    bgv.free();
  });

  const numbers = Array.from({ length: members }, (_, i) => i + 1);
  const head = numbers.slice(0, threshold);
  const tail = numbers.slice(-threshold);

  test('any quorum opens the sum, exactly', () => {
    for (const quorum of [head, tail]) {
      const opened = openWithShares(bgv, sum.body, sharesOf(bgv, committee, quorum, sum.mask));
      expect(opened.values).toEqual(total);
      expect(opened.budget).toBeGreaterThanOrEqual(bgv.parameters.spareBits);
    }
  });

  test('one holder alone, and all but one of a quorum: no slot', () => {
    const shares = sharesOf(bgv, committee, head, sum.mask);
    const nothing = new Uint8Array(sum.mask.length);
    expect(slotsRight(bgv, sum.body, shares, shares)).toBeGreaterThanOrEqual(LENGTH / 4);
    for (const known of [shares.slice(0, 1), shares.slice(1)]) {
      const padded = [...known, ...Array.from({ length: threshold - known.length }, () => nothing)];
      expect(() => openWithShares(bgv, sum.body, padded)).toThrow(expect.objectContaining({ code: 'SEAL_NOISE' }));
      expect(() => openWithShares(bgv, sum.body, known)).toThrow(expect.objectContaining({ code: 'SEAL_KEY' }));
      expect(slotsRight(bgv, sum.body, padded, shares)).toBe(0);
    }
  });

  test('a holder’s share of the key is no key', () => {
    for (const share of committee.keyShares) {
      const key = new Uint8Array(keyBytes(bgv));
      key.set(share.subarray(0, bgv.polynomialBytes));
      expect(() => openSum(bgv, key, sum)).toThrow(expect.objectContaining({ code: 'SEAL_NOISE' }));
    }
  });

  test('shares for two quorums do not mix, and a share of another sum spoils this one', () => {
    const own = sharesOf(bgv, committee, head, sum.mask);
    const otherSum = encryptUnderPublicKey(bgv, committee.publicKey, new Uint32Array(LENGTH));
    const foreign = sharesOf(bgv, committee, head, otherSum.mask);
    expect(() => openWithShares(bgv, sum.body, [foreign[0]!, ...own.slice(1)])).toThrow(
      expect.objectContaining({ code: 'SEAL_NOISE' }),
    );
    if (members === threshold) return;
    const others = sharesOf(bgv, committee, tail, sum.mask);
    expect(() => openWithShares(bgv, sum.body, [...own.slice(0, -1), others.at(-1)])).toThrow(
      expect.objectContaining({ code: 'SEAL_NOISE' }),
    );
  });

  test('a tampered share opens nothing; one out of range or cut short is refused', () => {
    const [first, ...rest] = sharesOf(bgv, committee, head, sum.mask);
    const turned = Uint8Array.from(first!);
    turned[6]! ^= 4;
    const wide = Uint8Array.from(first!).fill(0xff, 0, 8);
    expect(() => openWithShares(bgv, sum.body, [turned, ...rest])).toThrow(
      expect.objectContaining({ code: 'SEAL_NOISE' }),
    );
    for (const bad of [wide, first!.subarray(8)]) {
      expect(() => openWithShares(bgv, sum.body, [bad, ...rest])).toThrow(
        expect.objectContaining({ code: 'SEAL_KEY' }),
      );
    }
  });

  test('a quorum is as many distinct members as the threshold, and the member is one of them', () => {
    const bad = [
      [],
      [...head, threshold + 1],
      head.map(() => 1),
      [...head.slice(0, -1), members + 1],
      [...head].reverse(),
    ];
    for (const quorum of bad) {
      const opening = openingShare(bgv, committee.keyShares[0]!, { number: 1, quorum }, sum.mask);
      expect(() => finished(opening)).toThrow(expect.objectContaining({ code: 'SEAL_KEY' }));
    }
  });

  test('who asks a member twice gets the same noise; another quorum or another mask gets another', () => {
    const asked = (quorum: Quorum, mask: Uint8Array): BigUint64Array =>
      wordsOf(finished(openingShare(bgv, committee.keyShares[1]!, { number: 2, quorum }, mask)));
    const once = asked(head, sum.mask);
    expect(asked(head, sum.mask)).toEqual(once);
    const turned = Uint8Array.from(sum.mask);
    turned[0]! ^= 1;
    const others = [asked(head, turned), ...(members === threshold ? [] : [asked(tail, sum.mask)])];
    for (const other of others.filter((_, i) => i === 0 || tail.includes(2))) {
      expect(other.filter((word, i) => word === once[i]).length).toBeLessThan(3);
    }
  });
});

test('a member that chooses its share of the key after it saw the others has the joint key: hence commitments', async () => {
  const keys = { kind: 'committee', members: 3, threshold: 3 } as const;
  const bgv = await openBgv(sealParameters({ keys, clients: 3, maxValue: 255, length: 100 }));
  const reference = commonReference(bgv, new Uint8Array(32));
  const honest = [dealKey(bgv, reference, random), dealKey(bgv, reference, random)].map((dealt) => dealt.publicShare);
  const rows = { primes: bgv.keyPrimes, dimension: bgv.parameters.profile.dimension };
  // b* = -(A s* + t e*) with s* known to the rogue: SEAL's own key, moved to the common reference.
  const own = generateSealKey(bgv);
  const [b, a] = [wordsOf(own.publicKey.subarray(0, keyBytes(bgv))), wordsOf(own.publicKey.subarray(keyBytes(bgv)))];
  const target = difference(rows, a, wordsOf(reference));
  const secret = wordsOf(own.secretKey);
  rows.primes.forEach((prime, row) => {
    for (let i = row * rows.dimension; i < (row + 1) * rows.dimension; i++) {
      target[i] = (target[i]! * secret[i]! + b[i]!) % prime;
    }
  });
  const rogue = honest.reduce((rest, share) => difference(rows, rest, wordsOf(share)), target);
  const joint = jointPublicKey(bgv, reference, [...honest, bytesOfWords(rogue)]);
  const values = randomValues(100, 255, random);
  // It decrypts a single client's ciphertext: nothing in the arithmetic stops it, the protocol has to.
  expect(openSum(bgv, own.secretKey, encryptUnderPublicKey(bgv, joint, values)).values).toEqual(values);
  bgv.free();
});

test('keys that hide nothing, are cut short or out of range are refused', async () => {
  const keys = { kind: 'committee', members: 3, threshold: 2 } as const;
  const bgv = await openBgv(sealParameters({ keys, clients: 3, maxValue: 255, length: 100 }));
  const good = dealKey(bgv, commonReference(bgv, new Uint8Array(32)), random).publicShare;
  checkPublicShare(bgv, good);
  for (const bad of [new Uint8Array(good.length), good.subarray(8), Uint8Array.from(good).fill(0xff, -8)]) {
    expect(() => checkPublicShare(bgv, bad)).toThrow(expect.objectContaining({ code: 'SEAL_KEY' }));
  }
  const transparent = new Uint8Array(2 * keyBytes(bgv));
  transparent.set(good);
  for (const bad of [transparent, good, new Uint8Array(2 * keyBytes(bgv)).fill(0xff)]) {
    expect(() => encryptUnderPublicKey(bgv, bad, new Uint32Array(100))).toThrow(
      expect.objectContaining({ code: 'SEAL_KEY' }),
    );
  }
  bgv.free();
});

test('the common reference follows from the context alone, and is another for another', async () => {
  const keys = { kind: 'committee', members: 3, threshold: 2 } as const;
  const bgv = await openBgv(sealParameters({ keys, clients: 3, maxValue: 255, length: 100 }));
  const [one, again, other] = [1, 1, 2].map((byte) => commonReference(bgv, new Uint8Array(32).fill(byte)));
  expect(one).toEqual(again);
  expect(one).not.toEqual(other);
  bgv.free();
});

/** How many slots open right when nobody looks at the noise: the check is not what keeps the values. */
function slotsRight(bgv: Bgv, body: Uint8Array, shares: readonly Uint8Array[], right: readonly Uint8Array[]): number {
  const [got, wanted] = [shares, right].map((each) => slotsOf(bgv, body, each));
  return got!.reduce((count, slot, i) => count + (slot === wanted![i] && slot !== 0n ? 1 : 0), 0);
}

function slotsOf(bgv: Bgv, body: Uint8Array, shares: readonly Uint8Array[]): bigint[] {
  const slots: bigint[] = [];
  const encoder = Object.create(bgv.encoder) as Bgv['encoder'];
  encoder.decodeBigUint64 = (plaintext) => {
    const decoded = bgv.encoder.decodeBigUint64(plaintext) as BigUint64Array;
    slots.push(...decoded);
    return decoded;
  };
  const seal = Object.create(bgv.seal) as Bgv['seal'];
  seal.Decryptor = withoutBudget(bgv.seal.Decryptor);
  openWithShares({ ...bgv, seal, encoder }, body, shares);
  return slots;
}

function withoutBudget(Decryptor: Bgv['seal']['Decryptor']): Bgv['seal']['Decryptor'] {
  return new Proxy(Decryptor, {
    construct: (target, arguments_) => {
      const decryptor = Reflect.construct(target, arguments_) as InstanceType<typeof target>;
      decryptor.invariantNoiseBudget = () => 1;
      return decryptor;
    },
  });
}
