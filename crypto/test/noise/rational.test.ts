import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { discreteGaussian, discreteLaplace, skellam } from '../../src/noise/integer-noise.ts';
import { parseRational, rationalOf, reduced, toNumber } from '../../src/noise/rational.ts';

describe('rational parameters', () => {
  it('of a float64 are exact', () => {
    fc.assert(fc.property(fc.double({ min: 1e-290, max: 1e300, noNaN: true }), (x) => toNumber(rationalOf(x)) === x));
  });

  it('of a decimal are that decimal', () => {
    expect(parseRational('0.250')).toEqual(reduced(1n, 4n));
    expect(parseRational('1.5e-3')).toEqual(reduced(3n, 2000n));
    expect(parseRational('12e2')).toEqual(reduced(1200n, 1n));
    fc.assert(
      fc.property(fc.nat(), fc.nat({ max: 999_999 }), (whole, fraction) => {
        const text = `${whole}.${String(fraction).padStart(6, '0')}`;
        expect(parseRational(text)).toEqual(reduced(BigInt(whole) * 1_000_000n + BigInt(fraction), 1_000_000n));
      }),
    );
  });

  it.each(['', '-1', '1/2', 'NaN', 'Infinity', '0x10', '1e9999', ' 1', '.5', '1.'])('"%s" is refused', (text) => {
    expect(() => parseRational(text)).toThrow(/NOISE_PARAMETER/);
  });

  it.each(['0', '0.0000001', '1e30'])('noise of variance %s is refused', (text) => {
    for (const make of [discreteGaussian, skellam, discreteLaplace]) {
      expect(() => make(parseRational(text))).toThrow(/NOISE_PARAMETER/);
    }
    expect(() => discreteGaussian({ numerator: 1n, denominator: 0n })).toThrow(/NOISE_PARAMETER/);
    expect(() => discreteGaussian({ numerator: -1n, denominator: 1n })).toThrow(/NOISE_PARAMETER/);
    expect(() => rationalOf(Number.NaN)).toThrow(/NOISE_PARAMETER/);
  });
});
