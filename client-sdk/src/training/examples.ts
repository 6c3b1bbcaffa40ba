/** Examples against the model: their form, and how a batch of them is gathered. */
import { ClientError } from '../errors.ts';
import type { Examples } from './engine.ts';
import type { LossName } from './settings.ts';

/** Numbers of one example. */
export interface ExampleSizes {
  readonly features: number;
  readonly labels: number;
  /** With a sparse loss the number of classes, else null. */
  readonly classes: number | null;
}

/** @throws ClientError `DATA_INVALID` */
export function checkExamples({ count, features, labels }: Examples, sizes: ExampleSizes): void {
  if (features.length !== count * sizes.features)
    throw new ClientError(
      'DATA_INVALID',
      `${features.length} feature values for ${count} examples of ${sizes.features}`,
    );
  if (labels.length !== count * sizes.labels)
    throw new ClientError('DATA_INVALID', `${labels.length} labels for ${count} examples of ${sizes.labels}`);
  if (sizes.classes !== null) checkClasses(labels, sizes.classes);
}

/** Says where, never which label: the message goes to the coordinator when the round is declined. */
function checkClasses(labels: Int32Array | Float32Array, classes: number): void {
  const wrong = labels.findIndex((label) => !Number.isInteger(label) || label < 0 || label >= classes);
  if (wrong >= 0)
    throw new ClientError('DATA_INVALID', `the label of example ${wrong} is not a class from 0 to ${classes - 1}`);
}

/** Sums over a batch of loss and of right answers, in binary64. `output` has `width` scores for each of the rows. */
export function scoreBatch(
  output: Float32Array,
  labels: Int32Array | Float32Array,
  rows: ArrayLike<number>,
  width: number,
  loss: LossName,
): { loss: number; correct: number } {
  let total = 0;
  let correct = 0;
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at]!;
    const scores = output.subarray(at * width, (at + 1) * width);
    const target =
      loss === 'sparse-categorical-crossentropy'
        ? oneHot(labels[row] ?? 0, width)
        : labels.subarray(row * width, (row + 1) * width);
    total += exampleLoss(scores, target, loss);
    if (argMax(scores) === argMax(target)) correct += 1;
  }
  return { loss: total, correct };
}

function exampleLoss(scores: Float32Array, target: ArrayLike<number>, loss: LossName): number {
  const term = TERMS[loss];
  const mean = loss === 'categorical-crossentropy' || loss === 'sparse-categorical-crossentropy' ? 1 : scores.length;
  return scores.reduce((sum, score, i) => sum + term(score, target[i] ?? 0), 0) / mean;
}

const safe = (p: number): number => Math.log(Math.min(1 - 1e-7, Math.max(1e-7, p)));
const crossEntropy = (score: number, wanted: number): number => (wanted === 0 ? 0 : -wanted * safe(score));

const TERMS: Readonly<Record<LossName, (score: number, wanted: number) => number>> = {
  'categorical-crossentropy': crossEntropy,
  'sparse-categorical-crossentropy': crossEntropy,
  'binary-crossentropy': (score, wanted) => -(wanted * safe(score) + (1 - wanted) * safe(1 - score)),
  'mean-squared-error': (score, wanted) => (score - wanted) ** 2,
  'mean-absolute-error': (score, wanted) => Math.abs(score - wanted),
  huber: (score, wanted) => {
    const error = Math.abs(score - wanted);
    return error < 1 ? 0.5 * error ** 2 : error - 0.5;
  },
};

function oneHot(label: number, width: number): Float32Array {
  const target = new Float32Array(width);
  target[label] = 1;
  return target;
}

function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
