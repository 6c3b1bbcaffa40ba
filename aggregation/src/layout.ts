/**
 * How a model's tensors lie in one flat float32 vector (the order of `tf.LayersModel.getWeights()`), and what averaging
 * means for each of them.
 */
import { sha256Hex, Writer } from '@carapace/crypto';
import { AggregationError } from './errors.ts';
import { parseDigest } from './ids.ts';
import type { Digest } from './ids.ts';

/**
 * - `mean`: trained weights; the weighted mean of the clients' deltas is added.
 * - `keep`: counters and anything else that a mean would falsify; the server's value stays.
 * - `pooled-variance`: the moving variance of a normalisation layer. The mean of variances forgets how far the clients'
 *   means lie apart; so the delta of the second moment travels, and the variance is recovered about the pooled mean.
 */
export type TensorPolicy = (typeof TENSOR_POLICIES)[number];
const TENSOR_POLICIES = ['mean', 'keep', 'pooled-variance'] as const;

export interface TensorSpec {
  readonly name: string;
  /** Positive integers; `[]` is a scalar. */
  readonly shape: readonly number[];
  readonly policy: TensorPolicy;
  /** With `pooled-variance`: the name of the tensor that holds the moving mean, of the same shape. */
  readonly meanTensor?: string;
}

/** Where a tensor lies: float32 elements `offset` to `offset + size`. */
export interface Slot extends TensorSpec {
  readonly offset: number;
  readonly size: number;
}

export interface Layout {
  readonly slots: readonly Slot[];
  /** Number of float32 parameters. */
  readonly size: number;
  /** SHA-256 over names, shapes and policies: two parties with one digest agree on every offset. */
  readonly digest: Digest;
}

const PARAMETER_LIMIT = 2 ** 31 / 4;
const TENSOR_LIMIT = 10_000;

/** @throws AggregationError `LAYOUT_INVALID` */
export function layoutOf(tensors: readonly TensorSpec[]): Layout {
  if (tensors.length === 0) throw invalid('a model has at least one tensor');
  if (tensors.length > TENSOR_LIMIT) throw invalid(`${tensors.length} tensors are above the limit of ${TENSOR_LIMIT}`);
  const slots: Slot[] = [];
  const names = new Map<string, TensorSpec>();
  let offset = 0;
  for (const tensor of tensors) {
    if (names.has(tensor.name)) throw invalid(`the name ${tensor.name} stands twice`);
    names.set(tensor.name, tensor);
    if (!TENSOR_POLICIES.includes(tensor.policy))
      throw invalid(`${tensor.name} has the policy ${String(tensor.policy)}, which this version does not know`);
    const size = sizeOf(tensor);
    slots.push({ ...tensor, offset, size });
    offset += size;
  }
  if (offset > PARAMETER_LIMIT) throw invalid(`${offset} parameters are above the limit of ${PARAMETER_LIMIT}`);
  for (const slot of slots) checkMeanTensor(slot, names);
  return { slots, size: offset, digest: layoutDigest(tensors) };
}

/** Pairs `.../moving_variance` with its `.../moving_mean`; every other tensor gets the policy `mean`. */
export function defaultPolicies(tensors: readonly Pick<TensorSpec, 'name' | 'shape'>[]): TensorSpec[] {
  const names = new Set(tensors.map((tensor) => tensor.name));
  return tensors.map(({ name, shape }) => {
    const meanTensor = name.replace(/moving_variance$/, 'moving_mean');
    return meanTensor !== name && names.has(meanTensor)
      ? { name, shape, policy: 'pooled-variance', meanTensor }
      : { name, shape, policy: 'mean' };
  });
}

function sizeOf(tensor: TensorSpec): number {
  if (tensor.shape.some((length) => !Number.isSafeInteger(length) || length < 1)) {
    throw invalid(`${tensor.name} has the shape [${tensor.shape.join(', ')}]`);
  }
  return tensor.shape.reduce((product, length) => product * length, 1);
}

function checkMeanTensor(slot: Slot, names: ReadonlyMap<string, TensorSpec>): void {
  if (slot.policy !== 'pooled-variance') {
    if (slot.meanTensor !== undefined) throw invalid(`${slot.name} names a mean tensor without pooling a variance`);
    return;
  }
  const mean = slot.meanTensor === undefined ? undefined : names.get(slot.meanTensor);
  if (mean?.policy !== 'mean' || mean.shape.join() !== slot.shape.join()) {
    throw invalid(`${slot.name} needs a mean tensor of its own shape with the policy \`mean\``);
  }
}

function layoutDigest(tensors: readonly TensorSpec[]): Digest {
  const writer = new Writer().u32(tensors.length);
  for (const tensor of tensors) {
    writer.text(tensor.name).u32(tensor.shape.length);
    for (const length of tensor.shape) writer.u32(length);
    writer.text(tensor.policy).text(tensor.meanTensor ?? '');
  }
  return parseDigest(sha256Hex(writer.finish()));
}

function invalid(why: string): AggregationError {
  return new AggregationError('LAYOUT_INVALID', why);
}
