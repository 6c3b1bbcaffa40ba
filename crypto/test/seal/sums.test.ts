import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  checkCiphertexts,
  CiphertextSum,
  encryptUnderSharedKey,
  generateSealKey,
  openBgv,
  openSum,
  sealParameters,
} from '../../src/index.ts';
import type { Ciphertexts, KeyArrangement, SealChoice } from '../../src/index.ts';
import { seededRandom } from '../../testing/index.ts';
import { arrangementOf, randomValues, sumOf, totalOf } from './kit.ts';
import type { Arrangement } from './kit.ts';

const COMMITTEE: KeyArrangement = { kind: 'committee', members: 3, threshold: 2 };
/** CARAPACE_LONG=1 sums vectors of 10^7 values, and a thousand of 10^6: some minutes. */
const isLong = process.env['CARAPACE_LONG'] === '1';

describe.each<[string, KeyArrangement]>([
  ['shared', { kind: 'shared' }],
  ['holder', { kind: 'holder' }],
  ['committee', COMMITTEE],
])('%s', (_name, keys) => {
  test.each([
    [1, 1, 5],
    [7, 4095, 10_000],
    [20, 2 ** 16 - 1, 3000],
  ])(
    '%d clients, values up to %d: the sum is exact, with the budget that was promised',
    async (...[clients, maxValue, length]) => {
      const random = seededRandom(`${keys.kind} ${clients}`);
      const { bgv, encrypt, open } = await arrangementOf({ keys, clients, maxValue, length }, random);
      const vectors = Array.from({ length: clients }, () => randomValues(length, maxValue, random));
      vectors[0]!.fill(maxValue);
      const opened = open(sumOf(bgv, vectors.map(encrypt)));
      expect(opened.values).toEqual(totalOf(vectors));
      expect(opened.budget).toBeGreaterThanOrEqual(bgv.parameters.spareBits);
      bgv.free();
    },
  );

  test('a thousand clients, ten million values in total', { timeout: 540_000 }, async () => {
    const random = seededRandom(`${keys.kind} ten million`);
    const choice: SealChoice = { keys, clients: 1000, maxValue: 4095, length: isLong ? 1_000_000 : 10_000 };
    const { bgv, encrypt, open } = await arrangementOf(choice, random);
    const total = new Uint32Array(choice.length);
    const sum = new CiphertextSum(bgv);
    for (let client = 0; client < choice.clients; client++) {
      // At the largest value nothing is left of a lane; the rest is what training gives.
      const isFull = client % 2 === 0;
      const vector = isFull ? new Uint32Array(choice.length).fill(4095) : randomValues(choice.length, 4095, random);
      for (let i = 0; i < total.length; i++) total[i]! += vector[i]!;
      sum.add(encrypt(vector));
    }
    const { values, budget } = open(sum.ciphertexts());
    expect(values?.every((value, i) => value === total[i])).toBe(true);
    expect(budget).toBeGreaterThanOrEqual(bgv.parameters.spareBits);
    sum.free();
    bgv.free();
  });

  if (isLong)
    test('vectors of ten million values', { timeout: 540_000 }, async () => {
      const random = seededRandom('ten million');
      const choice: SealChoice = { keys, clients: 5, maxValue: 4095, length: 10_000_000 };
      const { bgv, encrypt, open } = await arrangementOf(choice, random);
      const total = new Uint32Array(choice.length);
      const sum = new CiphertextSum(bgv);
      for (let client = 0; client < 5; client++) {
        const vector = randomValues(choice.length, 4095, random);
        for (let i = 0; i < total.length; i++) total[i]! += vector[i]!;
        sum.add(encrypt(vector));
      }
      const { values } = open(sum.ciphertexts());
      expect(values?.every((value, i) => value === total[i])).toBe(true);
      sum.free();
      bgv.free();
    });
});

describe('what is no ciphertext of the session', () => {
  const choice: SealChoice = { keys: { kind: 'holder' }, clients: 3, maxValue: 255, length: 40_000 };
  let holder: Arrangement;
  let good: Ciphertexts;
  const values = new Uint32Array(40_000).fill(200);

  beforeAll(async () => {
    holder = await arrangementOf(choice, seededRandom('refusals'));
    good = holder.encrypt(values);
  });
  afterAll(() => {
    holder.bgv.free();
  });

  const changed = (bytes: Uint8Array, change: (copy: DataView) => void): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    change(new DataView(copy.buffer));
    return copy;
  };
  const wrong: Record<string, (of: Ciphertexts) => Ciphertexts> = {
    'a body cut short': ({ body, mask }) => ({ body: body.subarray(8), mask }),
    'a mask cut short': ({ body, mask }) => ({ body, mask: mask.subarray(0, -1) }),
    'nothing at all': () => ({ body: new Uint8Array(), mask: new Uint8Array() }),
    'a byte too many': ({ body, mask }) => ({ body: new Uint8Array([...body, 0]), mask }),
    'a residue out of range': ({ body, mask }) => ({
      body: changed(body, (view) => view.setBigUint64(view.byteLength - 8, 2n ** 64n - 1n, true)),
      mask,
    }),
    'a residue that is the prime': ({ body, mask }) => ({
      body,
      mask: changed(mask, (view) => view.setBigUint64(0, holder.bgv.dataPrimes[0]!, true)),
    }),
    'no mask (transparent)': ({ body, mask }) => ({ body, mask: new Uint8Array(mask.length) }),
    'no mask in the last block': ({ body, mask }) => ({
      body,
      mask: Uint8Array.from(mask).fill(0, -holder.bgv.polynomialBytes),
    }),
  };

  test.each(Object.keys(wrong))('%s is refused, and the sum is as it was', (name) => {
    const sum = new CiphertextSum(holder.bgv);
    sum.add(good);
    const before = sum.ciphertexts();
    const bad = wrong[name]!(good);
    for (const refuse of [() => sum.add(bad), () => checkCiphertexts(holder.bgv, bad)]) {
      expect(refuse).toThrow(expect.objectContaining({ code: 'SEAL_CIPHERTEXT' }));
    }
    expect(sum.ciphertexts()).toEqual(before);
    expect(sum.added).toBe(1);
    sum.free();
  });

  test('ciphertexts of other parameters are refused by their length', async () => {
    for (const other of [
      { length: 9000 },
      { maxValue: 2 ** 15, clients: 500 },
      { keys: COMMITTEE },
    ] as Partial<SealChoice>[]) {
      const stranger = await arrangementOf({ ...choice, ...other }, seededRandom('other'));
      const theirs = stranger.encrypt(new Uint32Array(other.length ?? 40_000));
      expect(() => checkCiphertexts(holder.bgv, theirs)).toThrow(expect.objectContaining({ code: 'SEAL_CIPHERTEXT' }));
      stranger.bgv.free();
    }
  });

  test('one more than the parameters are for is refused', () => {
    const sum = new CiphertextSum(holder.bgv);
    for (let i = 0; i < 3; i++) sum.add(good);
    expect(() => sum.add(good)).toThrow(expect.objectContaining({ code: 'SEAL_LIMIT' }));
    sum.free();
  });

  test('one bit turned, a ciphertext of another key, or another key: no budget, and so no values', async () => {
    const other = await arrangementOf(choice, seededRandom('another key'));
    const turned = { body: good.body, mask: changed(good.mask, (view) => view.setUint8(3, view.getUint8(3) ^ 1)) };
    for (const bad of [turned, other.encrypt(values), sumOf(holder.bgv, [good, other.encrypt(values)])]) {
      expect(() => holder.open(bad)).toThrow(expect.objectContaining({ code: 'SEAL_NOISE' }));
    }
    other.bgv.free();
  });

  test('a vector of another length, or with a value above the largest, is not encrypted', () => {
    for (const bad of [new Uint32Array(39_999), new Uint32Array(40_000).fill(256)]) {
      expect(() => holder.encrypt(bad)).toThrow(expect.objectContaining({ code: 'SEAL_VECTOR' }));
    }
  });
});

test('two encryptions of one vector have no word in common', async () => {
  for (const keys of [{ kind: 'shared' }, { kind: 'holder' }] as const) {
    const { bgv, encrypt } = await arrangementOf(
      { keys, clients: 3, maxValue: 255, length: 4096 },
      seededRandom('twice'),
    );
    const [first, second] = [encrypt(new Uint32Array(4096)), encrypt(new Uint32Array(4096))];
    const words = (bytes: Uint8Array): Set<bigint> => new Set(new BigUint64Array(Uint8Array.from(bytes).buffer));
    const seen = words(first.body);
    expect([...words(second.body)].filter((word) => seen.has(word)).length).toBeLessThanOrEqual(1);
    expect(first.mask).not.toEqual(second.mask);
    bgv.free();
  }
});

test('a value outside of its lane shows', async () => {
  const choice: SealChoice = { keys: { kind: 'shared' }, clients: 3, maxValue: 255, length: 100 };
  const random = seededRandom('overstepping');
  const { bgv, encrypt, open } = await arrangementOf(choice, random);
  // Behind the vector there are lanes that nobody may use.
  const longer = await openBgv(sealParameters({ ...choice, length: 101 }));
  expect(longer.parameters.blocks).toBe(bgv.parameters.blocks);
  const wider = { ...bgv, parameters: longer.parameters };
  const { secretKey } = generateSealKey(bgv);
  const stray = encryptUnderSharedKey(wider, secretKey, new Uint32Array(101).fill(255));
  expect(openSum(bgv, secretKey, sumOf(bgv, [stray])).values).toBeUndefined();
  expect(open(sumOf(bgv, [encrypt(new Uint32Array(100).fill(255))])).values).toEqual(new Uint32Array(100).fill(255));
  longer.free();
  bgv.free();
});
