/** The kernels that make the wasm backend train, against plain JavaScript: shapes at random, gradients of random cotangents. */
import type * as Tf from '@tensorflow/tfjs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BACKEND, expectAgreement, on, onBoth, tf } from './both-backends.ts';
import type { Both } from './both-backends.ts';

const size = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
const seed = fc.integer({ min: 1, max: 1_000_000 });
const noise = (shape: number[], from: number): Tf.Tensor => tf.randomUniform(shape, -1, 1, 'float32', from);
/** Gradients of sum(f(...) * cotangent) in every input. */
const pullBack = (f: (...inputs: Tf.Tensor[]) => Tf.Tensor, inputs: Tf.Tensor[], from: number): Tf.Tensor[] =>
  tf.grads((...given) => tf.mul(f(...given), noise(f(...inputs).shape, from)).sum())(inputs);

test('the backend here is WebAssembly: what follows compares two backends', () => {
  expect(BACKEND).toBe('tfjs-wasm');
});

describe('convolution', () => {
  const convolution = fc
    .record({
      batch: size(3),
      height: size(9),
      width: size(9),
      inChannels: size(3),
      outChannels: size(4),
      filterHeight: size(5),
      filterWidth: size(5),
      stride: fc.tuple(size(3), size(3)),
      // The paddings that a layer can have.
      pad: fc.constantFrom('same' as const, 'valid' as const),
      seed,
    })
    .filter(
      ({ height, width, filterHeight, filterWidth, pad }) =>
        pad === 'same' || (height >= filterHeight && width >= filterWidth),
    );

  test('value and both gradients, for every stride and padding', () =>
    fc.assert(
      fc.asyncProperty(convolution, async (shape) => {
        const { batch, height, width, inChannels, outChannels, filterHeight, filterWidth, stride, pad } = shape;
        const convolve = (x: Tf.Tensor, filter: Tf.Tensor): Tf.Tensor =>
          tf.conv2d(x as Tf.Tensor4D, filter as Tf.Tensor4D, stride, pad);
        const results = await onBoth(() => {
          const x = noise([batch, height, width, inChannels], shape.seed);
          const filter = noise([filterHeight, filterWidth, inChannels, outChannels], shape.seed + 1);
          return [convolve(x, filter), ...pullBack(convolve, [x, filter], shape.seed + 2)];
        });
        expectAgreement(results);
      }),
      { numRuns: 80 },
    ));

  test('fused, as a layer predicts with it', () =>
    fc.assert(
      fc.asyncProperty(convolution, async (shape) => {
        const { batch, height, width, inChannels, outChannels, filterHeight, filterWidth, stride, pad, seed } = shape;
        const results = await onBoth(() => [
          tf.fused.conv2d({
            x: noise([batch, height, width, inChannels], seed) as Tf.Tensor4D,
            filter: noise([filterHeight, filterWidth, inChannels, outChannels], seed + 1) as Tf.Tensor4D,
            strides: stride,
            pad,
            bias: noise([outChannels], seed + 2),
            activation: 'relu',
          }),
        ]);
        expectAgreement(results);
      }),
      { numRuns: 60 },
    ));

  // The stock kernel answers zeros where the stride steps over rows that no filter reaches.
  test('with a stride beyond its filter, as the formula says', async () => {
    const image = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const [value = new Float32Array()] = await on('wasm', () => [
      tf.conv2d(tf.tensor4d(image, [1, 3, 3, 1]), tf.tensor4d([1, 2, 3, 4], [2, 2, 1, 1]), 3, 'same'),
    ]);
    expect([...value]).toEqual([1 * 1 + 2 * 2 + 4 * 3 + 5 * 4]);
  });

  test('of 5x5 on 28x28, as in the CNN of McMahan et al.', async () => {
    const convolve = (x: Tf.Tensor, filter: Tf.Tensor): Tf.Tensor =>
      tf.conv2d(x as Tf.Tensor4D, filter as Tf.Tensor4D, 1, 'same');
    const results = await onBoth(() => pullBack(convolve, [noise([2, 28, 28, 1], 1), noise([5, 5, 1, 4], 2)], 3));
    expectAgreement(results);
  });
});

describe('products', () => {
  const product = fc.record({ m: size(6), k: size(130), n: size(6), a: fc.boolean(), b: fc.boolean(), seed });
  const shapeOf = (rows: number, columns: number, flip: boolean): number[] =>
    flip ? [columns, rows] : [rows, columns];

  test('value and gradients, whichever operand is transposed and however long the sum', () =>
    fc.assert(
      fc.asyncProperty(product, fc.constantFrom([], [1], [3]), async ({ m, k, n, a, b, seed }, batch) => {
        const multiply = (x: Tf.Tensor, y: Tf.Tensor): Tf.Tensor => tf.matMul(x, y, a, b);
        const results = await onBoth(() => {
          const x = noise([...batch, ...shapeOf(m, k, a)], seed);
          const y = noise([...batch, ...shapeOf(k, n, b)], seed + 1);
          return [multiply(x, y), ...pullBack(multiply, [x, y], seed + 2)];
        });
        expectAgreement(results);
      }),
      { numRuns: 60 },
    ));

  // The stock kernel adds the bias once per block of 48 along the inner dimension when an operand is transposed or batched.
  test('fused with bias and activation: the bias is added once', () =>
    fc.assert(
      fc.asyncProperty(
        product,
        fc.constantFrom([], [2]),
        fc.constantFrom('linear' as const, 'relu' as const, 'relu6' as const, 'sigmoid' as const, 'elu' as const),
        async ({ m, k, n, a, b, seed }, batch, activation) => {
          const results = await onBoth(() => {
            const x = noise([...batch, ...shapeOf(m, k, a)], seed);
            const y = noise([...batch, ...shapeOf(k, n, b)], seed + 1);
            const bias = tf.mul(noise([n], seed + 2), 100);
            return [tf.fused.matMul({ a: x, b: y, transposeA: a, transposeB: b, bias, activation })];
          });
          expectAgreement(results);
        },
      ),
      { numRuns: 60 },
    ));

  test('fused, an inner dimension of 100 ones and a bias of 20 make 120', async () => {
    const [product = new Float32Array()] = await on('wasm', () => [
      tf.fused.matMul({ a: tf.ones([100, 1]), b: tf.ones([100, 1]), transposeA: true, bias: tf.tensor1d([20]) }),
    ]);
    expect([...product]).toEqual([120]);
  });

  // XNNPACK keeps a packed copy of the right operand: a weight that changes must not be multiplied in its old form.
  test('a weight that is assigned anew is multiplied anew', async () => {
    const values = await on('wasm', () => {
      const x = tf.ones([4, 64]);
      const weight = tf.variable(tf.ones([64, 8]));
      const before = tf.matMul(x, weight).mean();
      weight.assign(tf.mul(weight, 2));
      const after = tf.matMul(x, weight as Tf.Tensor2D).mean();
      weight.dispose();
      return [before, after];
    });
    expect(values.map(([value]) => value)).toEqual([64, 128]);
  });
});

describe('scatter', () => {
  test('the gradient of an embedding: rows that occur often, once or never', () =>
    fc.assert(
      fc.asyncProperty(size(20), size(5), size(40), seed, async (vocabulary, width, count, seed) => {
        const ids = Array.from({ length: count }, (_value, index) => (seed * (index + 1) * 7919) % vocabulary);
        const gather = (table: Tf.Tensor): Tf.Tensor => tf.gather(table, tf.tensor1d(ids, 'int32'));
        expectAgreement(await onBoth(() => pullBack(gather, [noise([vocabulary, width], seed)], seed + 1)));
      }),
      { numRuns: 40 },
    ));

  test('ids outside the segments are left out', async () => {
    const results = await onBoth(() => [
      tf.unsortedSegmentSum(tf.tensor2d([[1], [2], [4], [8]]), tf.tensor1d([0, -1, 1, 2], 'int32'), 2),
    ]);
    expect(results.wasm.map((values) => [...values])).toEqual([[1, 4]]);
    expectAgreement(results);
  });
});

describe('largest of a window', () => {
  test('value and gradient, above and below zero, for windows that overlap or leave gaps', () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({ batch: size(3), height: size(9), width: size(9), channels: size(9), window: size(4) }),
        fc.record({ stride: size(4), pad: fc.constantFrom('same' as const, 'valid' as const), below: fc.boolean() }),
        seed,
        async ({ batch, height, width, channels, window }, { stride, pad, below }, seed) => {
          fc.pre(pad === 'same' || Math.min(height, width) >= window);
          const pool = (x: Tf.Tensor): Tf.Tensor => tf.maxPool(x as Tf.Tensor4D, window, stride, pad);
          const results = await onBoth(() => {
            const x = tf.sub(noise([batch, height, width, channels], seed), below ? 2 : 0);
            return [pool(x), ...pullBack(pool, [x], seed + 1)];
          });
          expectAgreement(results);
        },
      ),
      { numRuns: 60 },
    ));

  // The stock kernel gives the corner of the image what belongs to a pixel below zero.
  test('the gradient of pixels below zero stays with the largest', async () => {
    const [gradient = new Float32Array()] = await on('wasm', () => [
      tf.grad((x) => tf.maxPool(x as Tf.Tensor4D, 2, 2, 'valid'))(
        tf.tensor4d([-4, -3, -2, -1, -8, -7, -6, -5], [1, 2, 4, 1]),
      ),
    ]);
    expect([...gradient]).toEqual([0, 1, 0, 1, 0, 0, 0, 0]);
  });
});

test('more shapes than are kept compiled: the first is right again', async () => {
  const both = (size: number): Promise<Both> =>
    onBoth(() => pullBack((x, y) => tf.matMul(x, y), [noise([size, 2], size), noise([2, 1], size + 1)], size + 2));
  for (let rows = 2; rows < 120; rows++) expectAgreement(await both(rows));
  expectAgreement(await both(2));
});

test('depthwise convolution', () =>
  fc.assert(
    fc.asyncProperty(size(7), size(4), size(3), seed, async (length, filter, stride, seed) => {
      const depthwise = (x: Tf.Tensor, kernel: Tf.Tensor): Tf.Tensor =>
        tf.depthwiseConv2d(x as Tf.Tensor4D, kernel as Tf.Tensor4D, stride, 'same');
      const results = await onBoth(() => {
        const inputs = [noise([2, length, length, 3], seed), noise([filter, filter, 3, 2], seed + 1)];
        return [depthwise(inputs[0]!, inputs[1]!), ...pullBack(depthwise, inputs, seed + 2)];
      });
      expectAgreement(results);
    }),
    { numRuns: 40 },
  ));
