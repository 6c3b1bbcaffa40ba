import { AggregationError, PrivacyAccount } from '@carapace/aggregation';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { charges, delta, sampledGaussian } from './charges.ts';

test('replayed at once or one by one, the same bits', () => {
  fc.assert(
    fc.property(charges, delta, (all, of) => {
      const atOnce = new PrivacyAccount('zero-out', all);
      const oneByOne = all.reduce(
        (account, { event, count }) => account.charge(event, count),
        new PrivacyAccount('zero-out'),
      );
      expect(oneByOne.epsilon(of)).toEqual(atOnce.epsilon(of));
      expect(oneByOne.toText()).toBe(atOnce.toText());
    }),
    { numRuns: 15 },
  );
});

test('an account is a value', () => {
  const before = new PrivacyAccount('add-or-remove', [sampledGaussian(0.01, 1, 10)]);
  const text = before.toText();
  const after = before.charge({ kind: 'gaussian', noiseMultiplier: 10 });
  expect(before.toText()).toBe(text);
  expect(after.charges).toHaveLength(2);
  expect(after.epsilon(1e-5).value).toBeGreaterThan(before.epsilon(1e-5).value);
});

test('its text has decimal strings and reads back', () => {
  fc.assert(
    fc.property(charges, (all) => {
      const account = new PrivacyAccount('replace-one', all);
      const text = account.toText();
      expect(PrivacyAccount.fromText(text).toText()).toBe(text);
    }),
  );
  expect(new PrivacyAccount('add-or-remove', [sampledGaussian(0.01, 1, 2), sampledGaussian(0.01, 1, 3)]).toText()).toBe(
    '{"charges":[{"count":"5","event":{"event":{"kind":"gaussian","noiseMultiplier":"1"},"kind":"poisson","probability":"0.01"}}],"engineVersion":2,"relation":"add-or-remove"}',
  );
});

test.each([
  '',
  '{}',
  '[]',
  '{"charges":[],"engineVersion":1,"relation":"zero-out"}',
  '{"charges":[],"engineVersion":2,"relation":"zero-out","x":1}',
])('refuses %s', (text) => {
  expect(() => PrivacyAccount.fromText(text)).toThrow(AggregationError);
});

test('nothing costs nothing', () => {
  expect(new PrivacyAccount('zero-out').epsilon(1e-5)).toMatchObject({ value: 0 });
});

test('round by round as a ledger asks: every answer is the one of a fresh account', () => {
  let account = new PrivacyAccount('add-or-remove');
  for (let round = 1; round <= 40; round++) {
    account = account.charge(sampledGaussian(0.01, round % 10 === 0 ? 2 : 1, 1).event);
    const fresh = new PrivacyAccount('add-or-remove', account.charges.toReversed());
    expect(account.epsilon(1e-6)).toEqual(fresh.epsilon(1e-6));
  }
});
