/** The bound of one-run audits: where it has a closed form, what it must never do, and how often it errs. */
import { epsilonLowerBound, luckiest, seededRandom, SimulationError } from '@carapace/simulations';
import fc from 'fast-check';
import { expect, test } from 'vitest';

const ALARM = 1e-6;

test('with every guess right and no delta it is that of the coin which manages so with the false-alarm rate', () => {
  for (const guessed of [50, 500, 5000]) {
    const coin = ALARM ** (1 / guessed);
    const bound = epsilonLowerBound({ canaries: guessed, guessed, correct: guessed }, { delta: 0, falseAlarm: ALARM });
    expect(bound).toBeCloseTo(Math.log(coin / (1 - coin)), 9);
  }
});

test('the chance is that of the theorem, summed over all outcomes here', () => {
  const [canaries, guessed, correct, epsilon, delta] = [20, 12, 10, 1.3, 1e-3];
  const right = Math.exp(epsilon) / (1 + Math.exp(epsilon));
  const at = (k: number): number => {
    let ways = 1;
    for (let i = 1; i <= k; i++) ways *= (guessed - k + i) / i;
    return ways * right ** k * (1 - right) ** (guessed - k);
  };
  const from = (least: number): number => {
    let sum = 0;
    for (let k = Math.max(0, least); k <= guessed; k++) sum += at(k);
    return sum;
  };
  const gains = Array.from({ length: canaries }, (_, i) => (from(correct - i - 1) - from(correct)) / (i + 1));
  const expected = from(correct) + 2 * canaries * delta * Math.max(...gains);
  expect(luckiest({ canaries, guessed, correct }, epsilon, delta)).toBeCloseTo(expected, 12);
});

test('falls with delta and with a stricter false-alarm rate, and rises with right guesses', () => {
  const cases = fc.record({
    guessed: fc.integer({ min: 4, max: 300 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    delta: fc.constantFrom(0, 1e-9, 1e-6, 1e-4),
  });
  fc.assert(
    fc.property(cases, ({ guessed, share, delta }) => {
      const correct = Math.floor(share * (guessed - 1));
      const bound = (right: number, d: number, falseAlarm: number): number =>
        epsilonLowerBound({ canaries: 2 * guessed, guessed, correct: right }, { delta: d, falseAlarm });
      const here = bound(correct, delta, 1e-3);
      expect(bound(correct + 1, delta, 1e-3)).toBeGreaterThanOrEqual(here);
      expect(bound(correct, 2 * delta, 1e-3)).toBeLessThanOrEqual(here);
      expect(bound(correct, delta, 1e-6)).toBeLessThanOrEqual(here);
    }),
    { numRuns: 60 },
  );
});

test('is above the truth as often as it may be, with randomised response, for which it is tight', () => {
  const [epsilon, guessed, runs, falseAlarm] = [1, 200, 4000, 0.05];
  const right = Math.exp(epsilon) / (1 + Math.exp(epsilon));
  const random = seededRandom('audit/randomised-response');
  const bounds = new Map<number, number>();
  let alarms = 0;
  for (let run = 0; run < runs; run++) {
    let correct = 0;
    const words = new Uint32Array(random.bytes(4 * guessed).slice().buffer);
    for (const word of words) if (word / 2 ** 32 < right) correct++;
    const bound =
      bounds.get(correct) ?? epsilonLowerBound({ canaries: guessed, guessed, correct }, { delta: 0, falseAlarm });
    bounds.set(correct, bound);
    if (bound > epsilon) alarms++;
  }
  // Counts are whole, so the rate is a little below 0.05. Five deviations either way: this test errs once in a million seeds.
  const deviation = Math.sqrt(runs * falseAlarm * (1 - falseAlarm));
  expect(alarms).toBeLessThan(runs * falseAlarm + 5 * deviation);
  expect(alarms).toBeGreaterThan(runs * 0.03 - 5 * deviation);
});

test.each([
  [
    { canaries: 10, guessed: 11, correct: 1 },
    { delta: 0, falseAlarm: 0.1 },
  ],
  [
    { canaries: 10, guessed: 5, correct: 6 },
    { delta: 0, falseAlarm: 0.1 },
  ],
  [
    { canaries: 0, guessed: 0, correct: 0 },
    { delta: 0, falseAlarm: 0.1 },
  ],
  [
    { canaries: 10, guessed: 5, correct: Number.NaN },
    { delta: 0, falseAlarm: 0.1 },
  ],
  [
    { canaries: 10, guessed: 5, correct: 5 },
    { delta: Number.NaN, falseAlarm: 0.1 },
  ],
  [
    { canaries: 10, guessed: 5, correct: 5 },
    { delta: 0, falseAlarm: 0 },
  ],
])('refuses %j with %j', (guesses, confidence) => {
  expect(() => epsilonLowerBound(guesses, confidence)).toThrow(SimulationError);
  expect(() => epsilonLowerBound(guesses, confidence)).toThrow(/AUDIT_INVALID/);
});
