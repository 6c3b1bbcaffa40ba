/** Trains a little with the portable engine and prints the SHA-256 of the weights: the same bits, whatever the compiler of WebAssembly made of it. */
import { createHash } from 'node:crypto';
import { openPortableEngine } from '../../src/training/portable/engine.ts';
import { numbers, train, weightsFor } from '../training/exactness.ts';
import { chain, layer } from '../training/topologies.ts';

const MODELS = [
  chain(
    [8, 7, 4],
    [
      layer('Conv2D', { filters: 5, kernel_size: [3, 3], padding: 'same', activation: 'tanh' }),
      layer('MaxPooling2D', { pool_size: [2, 2] }),
      layer('BatchNormalization'),
      layer('Flatten'),
      layer('Dropout', { rate: 0.3 }),
      layer('Dense', { units: 9, activation: 'gelu' }),
      layer('Dense', { units: 3, activation: 'softmax' }),
    ],
  ),
  chain([7, 32], [layer('LSTM', { units: 6 }), layer('Dense', { units: 3, activation: 'softmax' })]),
];

const hash = createHash('sha256');
for (const spec of MODELS) {
  const labels = Float32Array.from({ length: 3 * 22 }, (_value, at) => (at % 3 === Math.floor(at / 3) % 3 ? 1 : 0));
  const examples = { count: 22, features: numbers('x', 22 * 224), labels };
  const settings = { batchSize: 4, optimizer: { kind: 'adam', learningRate: 0.01 } } as const;
  hash.update((await train(openPortableEngine(), spec, weightsFor(spec, 'digest'), examples, settings)).weights);
}
console.log(hash.digest('hex'));
