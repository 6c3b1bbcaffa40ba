import { expect, test } from 'vitest';
import {
  checkCiphertexts,
  CiphertextSum,
  encryptReals,
  generateSealKey,
  openCkks,
  openReals,
  realParameters,
} from '../../src/index.ts';
import type { RealChoice } from '../../src/index.ts';
import { seededRandom } from '../../testing/index.ts';

const random = seededRandom('reals');
const coded = (code: string): unknown => expect.objectContaining({ code });

test.each<RealChoice>([
  { clients: 1, maxMagnitude: 1, length: 5, precision: 2 ** -34 },
  { clients: 8, maxMagnitude: 1, length: 10_000, precision: 2 ** -40 },
  { clients: 40, maxMagnitude: 1000, length: 2049, precision: 2 ** -20 },
  { clients: 1000, maxMagnitude: 0.01, length: 1024, precision: 2 ** -34 },
])('$clients clients up to $maxMagnitude: within the bound', async (choice) => {
  const { clients, maxMagnitude, length } = choice;
  const parameters = realParameters(choice);
  expect(parameters.errorBound).toBeLessThanOrEqual(choice.precision);
  const ckks = await openCkks(parameters);
  const { secretKey } = generateSealKey(ckks);
  const sum = new CiphertextSum(ckks);
  const total = new Float64Array(length);
  for (let client = 0; client < clients; client++) {
    const values = client === 0 ? new Float64Array(length).fill(maxMagnitude) : realValues(length, maxMagnitude);
    sum.add(encryptReals(ckks, secretKey, values));
    for (let i = 0; i < length; i++) total[i]! += values[i]!;
  }
  const opened = openReals(ckks, secretKey, sum.ciphertexts());
  const error = opened.reduce((worst, value, i) => Math.max(worst, Math.abs(value - total[i]!)), 0);
  expect(opened).toHaveLength(length);
  expect(error).toBeLessThanOrEqual(parameters.errorBound);
  // A bound that is a thousand times too wide would say nothing.
  if (clients > 1) expect(error).toBeGreaterThan(parameters.errorBound / 1000);
  sum.free();
  ckks.free();
});

test('another key, values out of range, ciphertexts that are none', async () => {
  const choice: RealChoice = { clients: 3, maxMagnitude: 1, length: 3000, precision: 2 ** -30 };
  const ckks = await openCkks(realParameters(choice));
  const [own, other] = [generateSealKey(ckks), generateSealKey(ckks)];
  const input = encryptReals(ckks, own.secretKey, new Float64Array(3000).fill(0.5));
  const sum = new CiphertextSum(ckks);
  sum.add(input);
  expect(() => openReals(ckks, other.secretKey, sum.ciphertexts())).toThrow(coded('SEAL_NOISE'));
  for (const bad of [NaN, Infinity, -1.001]) {
    expect(() => encryptReals(ckks, own.secretKey, new Float64Array(3000).fill(bad, 2999))).toThrow(
      coded('SEAL_VECTOR'),
    );
  }
  expect(() => encryptReals(ckks, own.secretKey, new Float64Array(2999))).toThrow(coded('SEAL_VECTOR'));
  const wide = { body: Uint8Array.from(input.body).fill(0xff, -8), mask: input.mask };
  for (const bad of [wide, { body: input.body.subarray(8), mask: input.mask }]) {
    expect(() => checkCiphertexts(ckks, bad)).toThrow(coded('SEAL_CIPHERTEXT'));
  }
  expect(() => openReals(ckks, own.secretKey, input)).toThrow(coded('SEAL_CIPHERTEXT'));
  sum.free();
  ckks.free();
});

test('what no ring holds within the precision is refused', () => {
  const choice: RealChoice = { clients: 8, maxMagnitude: 1, length: 10, precision: 2 ** -30 };
  expect(realParameters(choice).profile.name).toBe('n4096-60');
  for (const bad of [
    { precision: 2 ** -60 },
    { clients: 0 },
    { clients: 2 ** 16 },
    { maxMagnitude: 0 },
    { maxMagnitude: NaN },
    { maxMagnitude: 2 ** 39, clients: 60_000 },
    { length: 0.5 },
    { precision: NaN },
  ]) {
    expect(() => realParameters({ ...choice, ...bad })).toThrow(coded('SEAL_PARAMETERS'));
  }
});

function realValues(length: number, maxMagnitude: number): Float64Array {
  const words = new Uint32Array(random.bytes(4 * length).buffer);
  return Float64Array.from(words, (word) => maxMagnitude * (word / 2 ** 31 - 1));
}
