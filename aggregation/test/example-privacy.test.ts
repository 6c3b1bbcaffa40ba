/** Noise on examples in a task document, and what its steps are charged. */
import { parseTask, planCentral, privacyEpsilon, stepsCharge, workDigest, parseDigest } from '@carapace/aggregation';
import type { Task } from '@carapace/aggregation';
import { parseRational } from '@carapace/crypto';
import { describe, expect, test } from 'vitest';

const taskWith = (privacy: unknown, protection: unknown = { kind: 'clear' }): Task =>
  parseTask({ name: 'examples', model: { name: 'm' }, cohort: { target: 4 }, training: { privacy }, protection });

describe('a task document with noise on examples', () => {
  test('reads back, with any protection, and with noise for whole clients beside it', () => {
    const privacy = { noiseMultiplier: '1.10', clip: 0.5 };
    for (const protection of [
      { kind: 'clear' },
      { kind: 'secagg' },
      { kind: 'secagg', privacy: { noiseMultiplier: '2', clip: 1, budgets: ['b'] } },
    ]) {
      const task = taskWith(privacy, protection);
      expect(task.training.privacy).toEqual({ unit: 'example', ...privacy });
      expect(parseTask(JSON.parse(JSON.stringify(task)))).toEqual(task);
    }
    expect(taskWith(null).training).not.toHaveProperty('privacy');
  });

  test('is other work than one without: who trains so shares no keys with who does not', () => {
    const digest = parseDigest('11'.repeat(32));
    const work = ({ training, protection }: Task): string =>
      workDigest({ layout: digest, topology: digest, training, protection });
    const [one, other] = [taskWith({ noiseMultiplier: '1', clip: 1 }), taskWith({ noiseMultiplier: '1', clip: 2 })];
    expect(new Set([work(taskWith(null)), work(one), work(other)]).size).toBe(3);
  });

  test.each<[string, unknown, RegExp]>([
    ['another unit', { unit: 'client', noiseMultiplier: '1', clip: 1 }, /training\.privacy\.unit is "client"; allowed/],
    ['no noise', { noiseMultiplier: '0', clip: 1 }, /training\.privacy\.noiseMultiplier is "0".*from 0\.02/],
    ['a multiplier that is a number', { noiseMultiplier: 1, clip: 1 }, /noiseMultiplier is 1; allowed is a text/],
    ['no multiplier', { clip: 1 }, /training\.privacy\.noiseMultiplier is missing/],
    ['no clip', { noiseMultiplier: '1' }, /training\.privacy\.clip is missing/],
    ['a clip of nothing', { noiseMultiplier: '1', clip: 0 }, /training\.privacy\.clip is 0/],
    ['a clip that is not finite', { noiseMultiplier: '1', clip: Number.NaN }, /training\.privacy\.clip is NaN/],
    [
      'budgets, which only devices can count',
      { noiseMultiplier: '1', clip: 1, budgets: ['b'] },
      /budgets is not a key/,
    ],
  ])('is refused with %s', (_, privacy, why) => {
    expect(() => taskWith(privacy)).toThrow(why);
  });
});

test('the worked figures of docs/privacy.md', () => {
  const plan = planCentral({ dimension: 199_210, noiseMultiplier: parseRational('1') });
  const epsilon = (count: number, batch: number): string => {
    const charge = stepsCharge(plan, batch / count, 10 * Math.ceil(count / batch));
    return privacyEpsilon([charge], 1e-6, { relation: 'zero-out' }).value.toFixed(2);
  };
  expect(epsilon(60_000, 256)).toBe('1.78');
  expect(epsilon(600, 32)).toBe('8.10');
});
