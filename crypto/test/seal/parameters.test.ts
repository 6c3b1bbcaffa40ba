import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesPerValue, SEAL_PROFILES, sealParameters, SMUDGING_SECURITY_BITS } from '../../src/index.ts';
import type { KeyArrangement, SealChoice, SealParameters } from '../../src/index.ts';
import { encryptionOf } from '../../src/seal/parameters.ts';
import { noiseBits } from '../../src/seal/noise.ts';
import { checkSecurity } from '../../src/seal/profile.ts';

/** Table 1 of the standard, 128 bits, classical; written down again, apart from the source. */
const STANDARD: Readonly<Record<number, number>> = { 1024: 27, 2048: 54, 4096: 109, 8192: 218 };
const committee = { kind: 'committee', members: 3, threshold: 3 } as const;

const keys = fc.oneof(
  fc.constant<KeyArrangement>({ kind: 'shared' }),
  fc.constant<KeyArrangement>({ kind: 'holder' }),
  fc
    .integer({ min: 2, max: 16 })
    .chain((members) =>
      fc
        .integer({ min: Math.floor(members / 2) + 1, max: members })
        .map((threshold): KeyArrangement => ({ kind: 'committee', members, threshold: Math.max(2, threshold) })),
    ),
);

test('whatever is taken has room for its lanes and its noise, and is within the standard', () => {
  const choices = fc.record({
    keys,
    clients: fc.integer({ min: 1, max: 2000 }),
    maxValue: fc.integer({ min: 1, max: 2 ** 20 }),
  });
  fc.assert(
    fc.property(choices, (choice) => {
      const parameters = taken({ ...choice, length: 1000 });
      fc.pre(parameters !== undefined);
      const { profile, plainBits, laneBits, lanesPerSlot, smudgingBits } = parameters;
      const total = profile.dataBits.reduce((sum, bits) => sum + bits, profile.specialBits ?? 0);
      expect(total).toBeLessThanOrEqual(STANDARD[profile.dimension]!);
      expect(choice.clients * choice.maxValue).toBeLessThan(2 ** laneBits);
      // The prime t is above 2^(plainBits - 1).
      expect(laneBits * lanesPerSlot).toBeLessThanOrEqual(plainBits - 1);
      const ofSum = noiseBits(profile, encryptionOf(choice.keys), choice.clients);
      const holders = choice.keys.kind === 'committee' ? choice.keys.threshold : 0;
      const noise = Math.log2(2 ** ofSum + holders * 2 ** smudgingBits);
      const modulusBits = profile.dataBits.reduce((sum, bits) => sum + bits, 0);
      expect(plainBits + noise + 1 + 1).toBeLessThanOrEqual(modulusBits);
      if (holders > 0) expect(smudgingBits - ofSum).toBeGreaterThanOrEqual(SMUDGING_SECURITY_BITS);
    }),
    { numRuns: 2000 },
  );
});

test('the published settings cost what the issue of costs says', () => {
  const million = { clients: 8, maxValue: 4095, length: 1_000_000 };
  const cost = (arrangement: KeyArrangement): number =>
    bytesPerValue(sealParameters({ ...million, keys: arrangement }));
  expect(sealParameters({ ...million, keys: { kind: 'holder' } }).profile.name).toBe('n4096-60');
  expect(cost({ kind: 'shared' })).toBeLessThan(4.1);
  expect(cost({ kind: 'holder' })).toBeLessThanOrEqual(8);
  expect(cost(committee)).toBeLessThan(11);
});

test('what would overflow is refused, and what is below the security asked for', () => {
  const refused: [Partial<SealChoice>, string][] = [
    [{ clients: 2 ** 16 - 1, maxValue: 2 ** 24 - 1 }, 'SEAL_PARAMETERS'],
    [{ clients: 0 }, 'SEAL_PARAMETERS'],
    [{ length: 0 }, 'SEAL_PARAMETERS'],
    [{ maxValue: 0 }, 'SEAL_PARAMETERS'],
    // A member's noise has no room in these rings.
    [{ keys: committee, profile: 'n2048-54' }, 'SEAL_PARAMETERS'],
    [{ keys: committee, profile: 'n4096-60' }, 'SEAL_PARAMETERS'],
    [{ profile: 'n2048-54', security: 192 }, 'SEAL_INSECURE'],
    [{ profile: 'n8192-120', security: 256 }, 'SEAL_INSECURE'],
    [{ keys: { kind: 'committee', members: 4, threshold: 2 } }, 'SEAL_PARAMETERS'],
    [{ keys: { kind: 'committee', members: 3, threshold: 4 } }, 'SEAL_PARAMETERS'],
    [{ keys: { kind: 'committee', members: 17, threshold: 17 } }, 'SEAL_PARAMETERS'],
    [{ profile: 'toString' as never }, 'SEAL_PARAMETERS'],
  ];
  for (const [change, code] of refused) {
    expect(() =>
      sealParameters({ keys: { kind: 'shared' }, clients: 8, maxValue: 4095, length: 10, ...change }),
    ).toThrow(expect.objectContaining({ code }));
  }
  expect(sealParameters({ keys: committee, clients: 8, maxValue: 255, length: 10, security: 192 }).security).toBe(192);
});

test('a ring outside the standard is refused by the gate that all went through', () => {
  for (const profile of Object.values(SEAL_PROFILES)) checkSecurity(profile, 128);
  const wide = { ...SEAL_PROFILES['n4096-86'], dataBits: [43, 44] };
  expect(() => checkSecurity(wide, 128)).toThrow(expect.objectContaining({ code: 'SEAL_INSECURE' }));
  expect(() => checkSecurity({ ...wide, dimension: 3000 }, 128)).toThrow(
    expect.objectContaining({ code: 'SEAL_INSECURE' }),
  );
});

function taken(choice: SealChoice): SealParameters | undefined {
  try {
    return sealParameters(choice);
  } catch (error) {
    expect(error).toMatchObject({ code: 'SEAL_PARAMETERS' });
    return undefined;
  }
}
