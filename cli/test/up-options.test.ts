/** What `carapace up` takes for a private run, and what noise it plans. */
import { describe, expect, test } from 'vitest';
import { planNoise } from '../src/up/plan-noise.ts';
import { parseUpOptions } from '../src/up/up-options.ts';
import type { UpFlags } from '../src/up/up-options.ts';

const FLAGS: UpFlags = {
  clients: '8',
  data: '.carapace',
  model: 'mnist-2nn',
  alpha: '0.5',
  seed: '1',
  epochs: '1',
  batchSize: '32',
  learningRate: '0.1',
};
const QUESTION = {
  protection: 'secagg',
  clients: 8,
  rounds: 5,
  parameters: 199_210,
  epsilon: 8,
  delta: 1e-5,
  clip: 1,
} as const;

describe('options', () => {
  test('--epsilon alone: delta 1e-5, clip 1, and secagg', () => {
    expect(parseUpOptions({ ...FLAGS, epsilon: '8' })).toMatchObject({
      protection: 'secagg',
      privacy: { epsilon: 8, delta: 1e-5, clip: 1 },
    });
    expect(parseUpOptions(FLAGS).privacy).toBeNull();
  });

  test.each<[string, Partial<UpFlags>]>([
    ...['', '0', '-1', 'NaN', 'Infinity', '1e5', '8,0', 'eight'].map((epsilon): [string, Partial<UpFlags>] => [
      '--epsilon is',
      { epsilon },
    ]),
    ['--delta is', { epsilon: '8', delta: '0' }],
    ['--delta is', { epsilon: '8', delta: '1' }],
    ['--clip is', { epsilon: '8', clip: 'Infinity' }],
    ['--epsilon needs --protection secagg or shares', { epsilon: '8', protection: 'clear' }],
    ['--epsilon needs --protection secagg or shares', { epsilon: '8', clients: '2' }],
    ['--delta is for --epsilon, without which no noise is added', { delta: '1e-6' }],
    ['--clip is for --epsilon, without which no noise is added', { clip: '1' }],
  ])('%s ...: %o is refused', (message, flags) => {
    const refusal = expect.objectContaining({ code: 'USAGE_INVALID', message: expect.stringContaining(message) });
    expect(() => parseUpOptions({ ...FLAGS, ...flags })).toThrow(refusal);
  });
});

describe('noise', () => {
  test('all rounds together against all that could be learned: the same for any number of rounds, less for more clients', () => {
    const [five, twenty] = [planNoise(QUESTION), planNoise({ ...QUESTION, rounds: null })];
    expect(twenty.rounds).toBe(20);
    expect(twenty.noiseToSignal / five.noiseToSignal).toBeCloseTo(1, 1);
    expect(five.noiseToSignal).toBeGreaterThan(30);
    const many = planNoise({ ...QUESTION, clients: five.levelClients });
    expect(many.noiseToSignal).toBeLessThan(1.3);
    expect(many.noiseToSignal).toBeGreaterThan(0.6);
  });

  test('more than the lanes hold is refused with what to change', () => {
    const refusal = expect.objectContaining({
      code: 'USAGE_INVALID',
      message:
        '--epsilon 0.001 needs more noise for 5 rounds of 8 clients than 16 bits of a lane hold: raise --epsilon, or train fewer --rounds',
    });
    expect(() => planNoise({ ...QUESTION, epsilon: 0.001 })).toThrow(refusal);
  });
});
