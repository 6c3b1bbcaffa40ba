/** What somebody who departs from the protocol of a committee would try, and what becomes of it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CiphertextSum,
  commitToShare,
  commonReference,
  dealKey,
  encryptUnderPublicKey,
  generateSealKey,
  keyBytes,
  MaskSum,
  openBgv,
  openingShare,
  openSum,
  openWithShares,
  revealedPublicKey,
  sealParameters,
} from '../../src/index.ts';
import type { Bgv, KeyArrangement, Revealed } from '../../src/index.ts';
import { difference } from '../../src/seal/committee/residues.ts';
import { bytesOfWords, wordsOf } from '../../src/seal/bytes-of.ts';
import { seededRandom } from '../../testing/index.ts';
import { dealCommittee, finished, randomValues, sharesOf, sumOf } from './kit.ts';
import type { DealtCommittee } from './kit.ts';

const KEYS: KeyArrangement = { kind: 'committee', members: 3, threshold: 2 };
const LENGTH = 70_000;
const CONTEXT = new Uint8Array(32).fill(9);
const random = seededRandom('attacks');
const coded = (code: string): unknown => expect.objectContaining({ code });

let bgv: Bgv;
let committee: DealtCommittee;
beforeAll(async () => {
  bgv = await openBgv(sealParameters({ keys: KEYS, clients: 4, maxValue: 4095, length: LENGTH }));
  committee = dealCommittee(bgv, random);
});
afterAll(() => {
  bgv.free();
});

describe('the joint key', () => {
  const reveal = (
    number: number,
    publicShare: Uint8Array,
    commitment: Uint8Array = commitToShare(CONTEXT, number, publicShare),
  ): Revealed => ({ number, publicShare, commitment });
  let honest: Revealed[];
  beforeAll(() => {
    const reference = commonReference(bgv, CONTEXT);
    honest = [1, 2].map((number) => reveal(number, dealKey(bgv, reference, random).publicShare));
  });

  test('is had from shares that are what was committed to', () => {
    expect(revealedPublicKey(bgv, CONTEXT, honest)).toHaveLength(2 * keyBytes(bgv));
  });

  test('a share chosen after the others were seen does not open the hash that was sent before', () => {
    const rows = { primes: bgv.keyPrimes, dimension: bgv.parameters.profile.dimension };
    const before = dealKey(bgv, commonReference(bgv, CONTEXT), random).publicShare;
    const rogue = bytesOfWords(
      honest.reduce<BigUint64Array<ArrayBuffer>>(
        (rest, { publicShare }) => difference(rows, rest, wordsOf(publicShare)),
        wordsOf(before),
      ),
    );
    const late = reveal(3, rogue, commitToShare(CONTEXT, 3, before));
    expect(() => revealedPublicKey(bgv, CONTEXT, [...honest, late])).toThrow(/member 3 committed to another share/);
  });

  test('a hash of another member or of another session, a member twice or none at all: refused', () => {
    const [first] = honest;
    const copied = reveal(3, first!.publicShare, first!.commitment);
    const foreign = reveal(3, first!.publicShare, commitToShare(new Uint8Array(32), 3, first!.publicShare));
    for (const bad of [copied, foreign, first!, reveal(4, first!.publicShare), reveal(0, first!.publicShare)]) {
      expect(() => revealedPublicKey(bgv, CONTEXT, [...honest, bad])).toThrow(coded('SEAL_KEY'));
    }
    expect(() => revealedPublicKey(bgv, CONTEXT, honest.slice(1))).toThrow(coded('SEAL_KEY'));
  });

  test('a share of few values, in one slot or under one prime alone, opens nothing to who chose it', () => {
    const size = keyBytes(bgv) / 8;
    const { dimension } = bgv.parameters.profile;
    const structured = [
      new BigUint64Array(size).fill(1n),
      new BigUint64Array(size).fill(1n, 0, 1),
      new BigUint64Array(size).fill(7n, dimension, 2 * dimension),
    ].map(bytesOfWords);
    const values = randomValues(LENGTH, 4095, random);
    for (const rogue of structured) {
      const joint = revealedPublicKey(bgv, CONTEXT, [...honest, reveal(3, rogue)]);
      const { body, mask } = encryptUnderPublicKey(bgv, joint, values);
      // What it knows: the key behind its own share, which is 0 or as good as, and any that it can draw.
      const drawn = generateSealKey(bgv).secretKey;
      for (const key of [bytesOfWords(new BigUint64Array(size).fill(1n)), rogue, drawn]) {
        expect(() => openSum(bgv, key, { body, mask })).toThrow(coded('SEAL_NOISE'));
      }
    }
  });
});

describe('a dealer and a member', () => {
  test('that deals other shares than of the key behind its public share spoils the opening, and that shows', () => {
    const { body, mask } = encryptUnderPublicKey(bgv, committee.publicKey, new Uint32Array(LENGTH).fill(7));
    const spoilt = Uint8Array.from(committee.keyShares[1]!);
    spoilt[9]! ^= 1;
    const spoiling = { ...committee, keyShares: [committee.keyShares[0]!, spoilt, committee.keyShares[2]!] };
    expect(() => openWithShares(bgv, body, sharesOf(bgv, spoiling, [1, 2], mask))).toThrow(coded('SEAL_NOISE'));
  });

  test('a share of an earlier round, replayed, opens nothing of this one', () => {
    const [then, now] = [1, 2].map((value) =>
      encryptUnderPublicKey(bgv, committee.publicKey, new Uint32Array(LENGTH).fill(value)),
    );
    const replayed = sharesOf(bgv, committee, [1, 3], then!.mask);
    const fresh = sharesOf(bgv, committee, [1, 3], now!.mask);
    expect(openWithShares(bgv, now!.body, fresh).values?.[0]).toBe(2);
    for (const mixed of [replayed, [replayed[0]!, fresh[1]!], [fresh[0]!, fresh[0]!]]) {
      expect(() => openWithShares(bgv, now!.body, mixed)).toThrow(coded('SEAL_NOISE'));
    }
  });

  test('a share made under other parameters opens nothing, or is refused by its length', async () => {
    const { body, mask } = encryptUnderPublicKey(bgv, committee.publicKey, new Uint32Array(LENGTH).fill(7));
    const [first] = sharesOf(bgv, committee, [1, 2], mask);
    // Lanes of another width: another t in the same ring, and the same number of bytes.
    const other = await openBgv(sealParameters({ keys: KEYS, clients: 3, maxValue: 8000, length: LENGTH }));
    expect(other.plainModulus).not.toBe(bgv.plainModulus);
    expect(other.parameters.blocks).toBe(bgv.parameters.blocks);
    const share = finished(openingShare(other, committee.keyShares[1]!, { number: 2, quorum: [1, 2] }, mask));
    expect(() => openWithShares(bgv, body, [first!, share])).toThrow(coded('SEAL_NOISE'));
    other.free();
    const ofThree = { kind: 'committee', members: 3, threshold: 3 } as const;
    const all = await openBgv(sealParameters({ keys: ofThree, clients: 4, maxValue: 4095, length: LENGTH }));
    const asked = openingShare(all, committee.keyShares[1]!, { number: 2, quorum: [1, 2, 3] }, mask);
    expect(() => finished(asked)).toThrow(coded('SEAL_KEY'));
    all.free();
  });
});

describe('what a member answers for', () => {
  test('is the sum of the masks of contributors, which it makes itself: what an aggregator sums is the same', () => {
    const inputs = [1, 2, 3].map((value) =>
      encryptUnderPublicKey(bgv, committee.publicKey, new Uint32Array(LENGTH).fill(value)),
    );
    const masks = new MaskSum(bgv);
    for (const { mask } of inputs) masks.add(mask);
    const sum = sumOf(bgv, inputs);
    expect(masks.added).toBe(3);
    expect(masks.mask()).toEqual(sum.mask);
    const shares = sharesOf(bgv, committee, [2, 3], masks.mask());
    expect(openWithShares(bgv, sum.body, shares).values?.[LENGTH - 1]).toBe(6);
    // One client's body, and the sum of two of the three, stay closed.
    for (const body of [inputs[0]!.body, sumOf(bgv, inputs.slice(1)).body]) {
      expect(() => openWithShares(bgv, body, shares)).toThrow(coded('SEAL_NOISE'));
    }
    masks.free();
  });

  test('masks that are 0, cut short, out of range or too many are refused, and the sum is as it was', async () => {
    const { mask } = encryptUnderPublicKey(bgv, committee.publicKey, new Uint32Array(LENGTH));
    const masks = new MaskSum(bgv);
    masks.add(mask);
    const before = masks.mask();
    const last = Uint8Array.from(mask).fill(0, -bgv.polynomialBytes);
    for (const bad of [new Uint8Array(mask.length), last, mask.subarray(8), Uint8Array.from(mask).fill(0xff, -8)]) {
      expect(() => masks.add(bad)).toThrow(coded('SEAL_CIPHERTEXT'));
    }
    expect(masks.mask()).toEqual(before);
    for (let i = 0; i < 3; i++) masks.add(mask);
    expect(() => masks.add(mask)).toThrow(coded('SEAL_LIMIT'));
    masks.free();
    const shared = await openBgv(sealParameters({ keys: { kind: 'shared' }, clients: 4, maxValue: 1, length: 10 }));
    expect(() => new MaskSum(shared)).toThrow(coded('SEAL_PARAMETERS'));
    shared.free();
  });

  test('carries noise of the width that is promised: a member without a key answers with that alone', () => {
    const { dataPrimes, parameters } = bgv;
    const mask = bytesOfWords(new BigUint64Array((parameters.blocks * bgv.polynomialBytes) / 8).fill(1n));
    const nothing = new Uint8Array(committee.keyShares[0]!.length);
    const noise = [1, 2].map((number) => finished(openingShare(bgv, nothing, { number, quorum: [1, 2] }, mask)));
    expect(noise[0]).not.toEqual(noise[1]);
    const { budget } = openWithShares(bgv, new Uint8Array(mask.length), noise);
    // Two uniform noises: the largest of many thousands of their sums is between a half and all of what it can be.
    const modulusBits = dataPrimes.reduce((sum, prime) => sum + Math.log2(Number(prime)), 0);
    const widest = modulusBits - 1 - Math.log2(Number(bgv.plainModulus)) - (parameters.smudgingBits + 1);
    expect(budget).toBeGreaterThanOrEqual(Math.floor(widest));
    expect(budget).toBeLessThanOrEqual(Math.ceil(widest) + 1);
  });
});

test('known limit: a client that sees the masks of others, and makes its own up, opens whom it likes with the coordinator', () => {
  const inputs = [11, 22, 33].map((value) =>
    encryptUnderPublicKey(bgv, committee.publicKey, new Uint32Array(LENGTH).fill(value)),
  );
  const [first, victim, third] = inputs;
  // What the sum of masks lacks of the victim's: no part of it is an encryption, and nothing here can tell.
  const rest = sumOf(bgv, [first!, third!]).mask;
  const made = new Uint8Array(rest.length);
  const rows = { primes: bgv.dataPrimes, dimension: bgv.parameters.profile.dimension };
  for (let from = 0; from < made.length; from += bgv.polynomialBytes) {
    const block = wordsOf(rest.subarray(from, from + bgv.polynomialBytes));
    made.set(bytesOfWords(difference(rows, new BigUint64Array(block.length), block)), from);
  }
  const masks = new MaskSum(bgv);
  for (const mask of [...inputs.map((input) => input.mask), made]) masks.add(mask);
  const shares = sharesOf(bgv, committee, [1, 2], masks.mask());
  expect(openWithShares(bgv, victim!.body, shares).values?.every((value) => value === 22)).toBe(true);
  masks.free();
});

test('a ciphertext that is added twice is added twice: who sends it again is the protocol’s to tell', () => {
  const input = encryptUnderPublicKey(bgv, committee.publicKey, new Uint32Array(LENGTH).fill(5));
  const sum = new CiphertextSum(bgv);
  sum.add(input);
  sum.add(input);
  const { body, mask } = sum.ciphertexts();
  expect(openWithShares(bgv, body, sharesOf(bgv, committee, [1, 2], mask)).values?.[0]).toBe(10);
  sum.free();
});
