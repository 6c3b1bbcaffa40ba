/** Models to begin with, and models from disk, as what the coordinator takes: topology, tensors and flat initial weights. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { defaultPolicies, layoutOf, parseSafetensors } from '@carapace/aggregation';
import type { SafetensorsFile, TensorSpec } from '@carapace/aggregation';
import type { RandomSource } from '@carapace/crypto';
import type * as Tf from '@tensorflow/tfjs';
import { ClientError } from '../errors.ts';
import { openBackend } from './tfjs/backend.ts';
import { layersModel } from './tfjs/engine.ts';

export interface InitialModel {
  /** JSON of a TensorFlow.js layers model. */
  readonly topology: string;
  readonly tensors: readonly TensorSpec[];
  readonly weights: Float32Array<ArrayBuffer>;
}

/** Pixels scaled to [0, 1]; 784 features, 10 classes. Each has a name, or TensorFlow.js would number it: the same model, another digest. */
const SHIPPED: Readonly<Record<string, (tf: typeof Tf) => Tf.Sequential>> = {
  logistic: (tf) =>
    tf.sequential({
      name: 'logistic',
      layers: [tf.layers.dense({ name: 'output', inputShape: [784], units: 10, activation: 'softmax' })],
    }),
  // The 2NN of McMahan et al. 2017, section 3: 199,210 parameters.
  'mnist-2nn': (tf) =>
    tf.sequential({
      name: 'mnist-2nn',
      layers: [
        tf.layers.dense({ name: 'hidden1', inputShape: [784], units: 200, activation: 'relu' }),
        tf.layers.dense({ name: 'hidden2', units: 200, activation: 'relu' }),
        tf.layers.dense({ name: 'output', units: 10, activation: 'softmax' }),
      ],
    }),
  // The CNN of McMahan et al. 2017, section 3: 1,663,370 parameters.
  'mnist-cnn': (tf) =>
    tf.sequential({
      name: 'mnist-cnn',
      layers: [
        tf.layers.reshape({ name: 'image', inputShape: [784], targetShape: [28, 28, 1] }),
        tf.layers.conv2d({ name: 'convolution1', filters: 32, kernelSize: 5, padding: 'same', activation: 'relu' }),
        tf.layers.maxPooling2d({ name: 'pooling1', poolSize: 2 }),
        tf.layers.conv2d({ name: 'convolution2', filters: 64, kernelSize: 5, padding: 'same', activation: 'relu' }),
        tf.layers.maxPooling2d({ name: 'pooling2', poolSize: 2 }),
        tf.layers.flatten({ name: 'flat' }),
        tf.layers.dense({ name: 'hidden', units: 512, activation: 'relu' }),
        tf.layers.dense({ name: 'output', units: 10, activation: 'softmax' }),
      ],
    }),
};

export const SHIPPED_MODELS: readonly string[] = Object.keys(SHIPPED);

/** A shipped model: its topology is the same every time, its initial weights depend on the random source alone. @throws ClientError `MODEL_UNSUPPORTED` */
export async function buildShippedModel(name: string, random: RandomSource): Promise<InitialModel> {
  const build = SHIPPED[name];
  if (build === undefined)
    throw new ClientError(
      'MODEL_UNSUPPORTED',
      `there is no shipped model ${name}; there are ${SHIPPED_MODELS.join(', ')}`,
    );
  const { tf } = await openBackend();
  const model = build(tf);
  const tensors = tensorsOf(model);
  const topology = JSON.stringify(model.toJSON(null, false));
  model.dispose();
  return { topology, tensors, weights: initialWeights(tensors, random) };
}

/**
 * A model saved by TensorFlow.js (`model.json` with its weight files beside it), or the architecture of a Keras model
 * (`model.to_json()`), whose weights are as its layers begin them.
 * @param safetensors weights by their names, in place of those
 * @throws ClientError `MODEL_UNSUPPORTED`; AggregationError `SAFETENSORS_INVALID`
 */
export async function readLayersModel(path: string, safetensors: Uint8Array | null = null): Promise<InitialModel> {
  const json = JSON.parse(await readFile(path, 'utf8')) as Partial<Tf.io.ModelJSON>;
  if (json.modelTopology !== undefined && json.weightsManifest !== undefined && safetensors === null)
    return savedModel(path, json as Tf.io.ModelJSON);
  const topology = json.modelTopology ?? json;
  if (!('model_config' in topology) && !('class_name' in topology))
    throw unsupported(`${path} is neither the model.json of a layers model nor the JSON of a Keras model`);
  const begun = await begunModel(JSON.stringify(topology));
  return safetensors === null ? begun : withWeights(begun, parseSafetensors(safetensors));
}

async function savedModel(path: string, { modelTopology, weightsManifest }: Tf.io.ModelJSON): Promise<InitialModel> {
  if (weightsManifest === undefined) throw unsupported(`${path} has no weights`);
  const specs = weightsManifest.flatMap(({ weights }) => weights);
  const odd = specs.find(({ dtype, quantization }) => dtype !== 'float32' || quantization !== undefined);
  if (odd !== undefined)
    throw unsupported(
      `the weight ${odd.name} is ${odd.quantization === undefined ? odd.dtype : 'quantised'}; save the model as plain float32`,
    );
  const files = weightsManifest.flatMap(({ paths }) => paths.map((name) => readFile(join(dirname(path), name))));
  const bytes = Uint8Array.from(Buffer.concat(await Promise.all(files)));
  const tensors = defaultPolicies(specs.map(({ name, shape }) => ({ name, shape })));
  const size = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
  if (bytes.length !== 4 * size)
    throw unsupported(`the weight files have ${bytes.length} bytes, the manifest describes ${4 * size}`);
  return { topology: JSON.stringify(modelTopology), tensors, weights: new Float32Array(bytes.buffer) };
}

/** Its weights as the layers' initialisers make them. */
async function begunModel(topology: string): Promise<InitialModel> {
  const { tf } = await openBackend();
  const model = await layersModel(tf, topology);
  const tensors = tensorsOf(model);
  const values = model.getWeights().map((tensor) => Float32Array.from(tensor.dataSync()));
  model.dispose();
  return { topology, tensors, weights: joined(values) };
}

/** Each weight from the tensor of its name: as it is, or with what Keras puts before it (the model's name) and behind it (`:0`). */
function withWeights({ topology, tensors }: InitialModel, file: SafetensorsFile): InitialModel {
  const { slots } = layoutOf(defaultPolicies(file.tensors));
  const named = slots.map((slot) => ({ ...slot, plain: slot.name.replace(/:\d+$/, '') }));
  const found = tensors.map(({ name, shape }) => {
    const own = named.filter(({ plain }) => plain === name || plain.endsWith(`/${name}`));
    if (own.length !== 1)
      throw unsupported(
        `${own.length === 0 ? 'no tensor' : 'more than one tensor'} of the weights is named ${name}; there are ${slots.map((slot) => slot.name).join(', ')}`,
      );
    const [{ shape: given, offset, size }] = own as [(typeof named)[number]];
    if (given.join() !== shape.join())
      throw unsupported(
        `${name} has the shape [${given.join(', ')}] in the weights, [${shape.join(', ')}] in the model`,
      );
    return file.weights.subarray(offset, offset + size);
  });
  if (slots.length !== tensors.length)
    throw unsupported(`the weights have ${slots.length} tensors, the model has ${tensors.length}`);
  return { topology, tensors, weights: joined(found) };
}

/** Named as TensorFlow.js names them when it loads the model again. */
function tensorsOf(model: Tf.LayersModel): TensorSpec[] {
  return defaultPolicies(
    model.weights.map(({ originalName, shape }) => ({ name: originalName, shape: shape as number[] })),
  );
}

/** Glorot-uniform kernels (Glorot and Bengio 2010, equation 16), zero biases. */
function initialWeights(tensors: readonly TensorSpec[], random: RandomSource): Float32Array<ArrayBuffer> {
  const parts = tensors.map(({ shape }) =>
    shape.length < 2 ? new Float32Array(shape[0] ?? 1) : glorot(shape, random),
  );
  return joined(parts);
}

function joined(parts: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const flat = new Float32Array(parts.reduce((size, { length }) => size + length, 0));
  parts.reduce((offset, part) => {
    flat.set(part, offset);
    return offset + part.length;
  }, 0);
  return flat;
}

function glorot(shape: readonly number[], random: RandomSource): Float32Array {
  const receptive = shape.slice(0, -2).reduce((size, length) => size * length, 1);
  const [fanIn, fanOut] = [(shape.at(-2) ?? 1) * receptive, (shape.at(-1) ?? 1) * receptive];
  const limit = Math.sqrt(6 / (fanIn + fanOut));
  const size = shape.reduce((product, length) => product * length, 1);
  const words = new Uint32Array(random.bytes(4 * size).buffer);
  return Float32Array.from(words, (word) => (2 * ((word + 0.5) / 2 ** 32) - 1) * limit);
}

function unsupported(why: string): ClientError {
  return new ClientError('MODEL_UNSUPPORTED', why);
}
