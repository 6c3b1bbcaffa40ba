import { packLanes, unpackLanes } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packReference, unpackReference } from '../../src/words/reference.ts';

/** Every width with every number of lanes that fits; lengths about those of a part, 16384 lanes. */
const cases = fc
  .tuple(
    fc.integer({ min: 1, max: 32 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.oneof(fc.nat(200), fc.constantFrom(16_383, 16_384, 16_385, 40_000)),
    fc.nat(),
  )
  .map(([laneBits, part, length, seed]) => {
    const most = Math.floor(64 / laneBits);
    const lanesPerWord = 1 + Math.floor(part * (most - 1));
    const words = new Uint32Array(seededRandom(seed).bytes(4 * length).buffer);
    // The largest value more often than chance.
    const values = words.map((word) => (word % 5 === 0 ? 0xffff_ffff : word) >>> (32 - laneBits));
    return { form: { laneBits, lanesPerWord }, values, seed };
  });

test('packing is what the twin writes, and unpacking gives it back with zeros behind', () => {
  fc.assert(
    fc.property(cases, ({ form, values }) => {
      const words = packLanes(values, form);
      expect(Buffer.compare(new Uint8Array(words.buffer), new Uint8Array(packReference(values, form).buffer))).toBe(0);
      const lanes = unpackLanes(words, form)!;
      expect(lanes.length).toBe(words.length * form.lanesPerWord);
      expect(lanes.every((lane, i) => lane === (values[i] ?? 0))).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('any words are unpacked as by the twin: a bit above the lanes is seen in whichever word it stands', () => {
  fc.assert(
    fc.property(cases, fc.nat(), fc.boolean(), ({ form, values, seed }, place, clean) => {
      const used = BigInt(form.laneBits * form.lanesPerWord);
      const bits = new BigUint64Array(seededRandom(seed).bytes(8 * (1 + (values.length % 3000))).buffer);
      const words = bits.map((word) => BigInt.asUintN(Number(used), word));
      if (!clean && used < 64n) words[place % words.length]! |= 1n << (used + (BigInt(place) % (64n - used)));
      expect(unpackLanes(words, form)).toEqual(unpackReference(words, form));
    }),
    { numRuns: 60 },
  );
});

test.each([
  { laneBits: 0, lanesPerWord: 1 },
  { laneBits: 33, lanesPerWord: 1 },
  { laneBits: 21, lanesPerWord: 4 },
  { laneBits: 8, lanesPerWord: 0 },
  { laneBits: 7.5, lanesPerWord: 2 },
])('%o is no form of lanes', (form) => {
  expect(() => packLanes(new Uint32Array(1), form)).toThrow('ENCODE_RANGE');
  expect(() => unpackLanes(new BigUint64Array(1), form)).toThrow('ENCODE_RANGE');
});
