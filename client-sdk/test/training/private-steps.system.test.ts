/** Training with noise on each example's gradients: the step is that of the engine on clipped gradients, the noise is the promised one, and what is charged is said first. */
import { layoutOf, planCentral, privacyEpsilon, stepsCharge } from '@carapace/aggregation';
import type { ExamplePrivacy, LocalTraining, StepsCharge } from '@carapace/aggregation';
import { parseRational, systemRandom } from '@carapace/crypto';
import { describe, expect, test } from 'vitest';
import { fromExamples } from '../../src/data/examples.ts';
import { engineTrainer } from '../../src/engine-trainer.ts';
import type { LocalWork } from '../../src/local-trainer.ts';
import type { Examples, ModelSpec, TrainingEngine } from '../../src/training/engine.ts';
import { openNativeEngine } from '../../src/training/native/engine.ts';
import { openPortableEngine } from '../../src/training/portable/engine.ts';
import { openTfjsEngine } from '../../src/training/tfjs/engine.ts';
import { ASSIGNMENT } from '../fixtures.ts';
import { numbers, train, weightsFor } from './exactness.ts';
import { chain, layer } from './topologies.ts';

const SPEC = chain(
  [6],
  [layer('Dense', { units: 5, activation: 'tanh' }), layer('Dense', { units: 3, activation: 'softmax' })],
);
const COUNT = 12;
const EXAMPLES: Examples = {
  count: COUNT,
  features: numbers('features', COUNT * 6),
  labels: Float32Array.from({ length: COUNT * 3 }, (_value, i) => (i % 3 === Math.floor(i / 3) % 3 ? 1 : 0)),
};
const native = await openNativeEngine();
const engines: readonly TrainingEngine[] = [
  openPortableEngine(),
  await openTfjsEngine(),
  ...('missing' in native ? [] : [native]),
];
const portable = engines[0]!;

interface Choice {
  readonly privacy?: Partial<ExamplePrivacy>;
  readonly training?: Partial<LocalTraining>;
  readonly charge?: (steps: StepsCharge) => Promise<void>;
}

function workOf(spec: ModelSpec, { privacy, training, charge = () => Promise.resolve() }: Choice): LocalWork {
  const own: ExamplePrivacy = { unit: 'example', noiseMultiplier: '1', clip: 0.1, ...privacy };
  return {
    assignment: {
      ...ASSIGNMENT,
      model: { ...ASSIGNMENT.model, tensors: spec.tensors },
      training: {
        ...ASSIGNMENT.training,
        loss: spec.loss as LocalTraining['loss'],
        batchSize: COUNT,
        optimizer: { kind: 'sgd', learningRate: 0.5, momentum: 0 },
        ...training,
        privacy: own,
      },
    },
    layout: layoutOf(spec.tensors),
    weights: weightsFor(spec, 'private'),
    topology: spec.topology,
    signal: new AbortController().signal,
    note: () => undefined,
    charge,
  };
}
const trained = (
  work: LocalWork,
  engine = portable,
  examples = EXAMPLES,
): ReturnType<ReturnType<typeof engineTrainer>> =>
  engineTrainer({ data: fromExamples(examples), engine: () => Promise.resolve(engine), random: systemRandom })(work);

describe('a step', () => {
  test('is that of gradients clipped example by example, with noise of the promised deviation', async () => {
    const [clip, z, rate, runs] = [0.1, 0.5, 0.5, 60];
    const settings = {
      batchSize: COUNT,
      optimizer: { kind: 'sgd', learningRate: rate, momentum: 0 },
      perExampleClip: clip,
    } as const;
    const { weights: exact } = await train(portable, SPEC, weightsFor(SPEC, 'private'), EXAMPLES, settings);
    let squares = 0;
    for (let run = 0; run < runs; run++) {
      const { weights, metrics, examples } = await trained(workOf(SPEC, { privacy: { noiseMultiplier: String(z) } }));
      expect([metrics, examples]).toEqual([{}, COUNT]);
      squares += weights.reduce((sum, value, i) => sum + (value - exact[i]!) ** 2, 0);
    }
    const values = runs * exact.length;
    // The mean of 3,180 squares deviates by 2.5 %: six of that is one false alarm in 10^9, and rounding to a lattice adds a thousandth.
    expect(Math.abs(squares / values / ((rate * z * clip) / COUNT) ** 2 - 1)).toBeLessThan(0.16);
  });

  test('is the same on every engine, to the noise', async () => {
    const runs = await Promise.all(
      engines.map(
        async (engine) => (await trained(workOf(SPEC, { privacy: { noiseMultiplier: '0.02' } }), engine)).weights,
      ),
    );
    // Each deviates by 0.5 x 0.02 x 0.1 / 12, two of them by 1.4 of that; eight for 53 values is one false alarm in 10^13.
    const most = (8 * Math.SQRT2 * 0.5 * 0.02 * 0.1) / COUNT + 1e-6;
    for (const weights of runs)
      weights.forEach((value, i) => expect(Math.abs(value - runs[0]![i]!)).toBeLessThan(most));
  });

  test.each([1e30, -1e-30, Number.POSITIVE_INFINITY, Number.NaN])(
    'keeps an example within its clip, with %d for its gradient as well; one without a gradient counts as nothing',
    async (wild) => {
      const clip = 1e-3;
      const trainer = await portable.load(SPEC);
      const [epoch, weightsNow] = [trainer.trainEpoch.bind(trainer), trainer.weights.bind(trainer)];
      let example = -1;
      trainer.trainEpoch = async (examples, order, ...of) => {
        example = order[0]!;
        return epoch(examples, order, ...of);
      };
      trainer.weights = () => (example === 1 ? weightsNow().fill(wild) : weightsNow());
      const work = workOf(SPEC, { privacy: { clip, noiseMultiplier: '0.02' } });
      const { weights } = await trained(work, { ...portable, load: () => Promise.resolve(trainer) });
      const moved = Math.hypot(...weights.map((weight, i) => weight - work.weights[i]!));
      // All twelve gradients in one direction, and the noise.
      expect(moved).toBeLessThan(0.5 * clip * 1.1);
      expect(moved).toBeGreaterThan(0);
    },
  );
});

describe('what is charged', () => {
  test('is each step with its coin, said before the first of them', async () => {
    const seen: StepsCharge[] = [];
    const work = workOf(SPEC, {
      training: { batchSize: 5, epochs: 4 },
      charge: async (steps) => void seen.push(steps),
    });
    await trained(work);
    const plan = planCentral({ dimension: work.weights.length, noiseMultiplier: parseRational('1') });
    expect(seen).toEqual([stepsCharge(plan, 5 / COUNT, 4 * 3)]);
    const of = (charge: StepsCharge): number => privacyEpsilon([charge], 1e-6, { relation: 'zero-out' }).value;
    expect(seen[0]?.event).toMatchObject({ kind: 'poisson', probability: 5 / COUNT });
    expect(of(seen[0]!)).toBeLessThanOrEqual(of(stepsCharge(plan, 1, 12)));
    expect(of(stepsCharge(plan, 0.01, 100))).toBeLessThan(of(stepsCharge(plan, 1, 100)) / 3);
  });

  test('and where the owner does not allow it, nothing is trained', async () => {
    let epochs = 0;
    const counting: TrainingEngine = {
      ...portable,
      load: async (spec) => {
        const trainer = await portable.load(spec);
        trainer.trainEpoch = async () => Promise.resolve({ loss: 0, steps: ++epochs });
        return trainer;
      },
    };
    const charge = (): Promise<void> => Promise.reject(new Error('not that much'));
    await expect(trained(workOf(SPEC, { charge }), counting)).rejects.toThrow('not that much');
    expect(epochs).toBe(0);
  });
});

test('coins choose each example with the rate: batches of all sizes, none of the size that was asked for alone', async () => {
  const sizes: number[] = [];
  const trainer = await portable.load(SPEC);
  const [weights, epoch] = [trainer.setWeights.bind(trainer), trainer.trainEpoch.bind(trainer)];
  let calls = 0;
  trainer.setWeights = (flat) => weights(flat);
  trainer.trainEpoch = async (...of) => {
    calls++;
    return epoch(...of);
  };
  const engine: TrainingEngine = { ...portable, load: () => Promise.resolve(trainer) };
  for (let run = 0; run < 300; run++) {
    calls = 0;
    await trained(workOf(SPEC, { training: { batchSize: 4, epochs: 1 } }), engine);
    sizes.push(calls);
  }
  // Three steps of twelve coins at a third: 12 a run, of deviation 2.83; the mean of 300 deviates by 0.163, and six of that is one false alarm in 10^9.
  const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
  expect(Math.abs(mean - 12)).toBeLessThan(1);
  expect(new Set(sizes).size).toBeGreaterThan(5);
});

test('a model in which examples meet is refused by name, before anything is charged', async () => {
  const spec = chain([6], [layer('BatchNormalization'), layer('Dense', { units: 3, activation: 'softmax' })]);
  let charged = false;
  const charge = async (): Promise<void> => void (charged = true);
  for (const engine of engines)
    await expect(trained(workOf(spec, { charge }), engine)).rejects.toThrow(
      'MODEL_UNSUPPORTED: BatchNormalization layer0 has no per-example gradients',
    );
  expect(charged).toBe(false);
});
