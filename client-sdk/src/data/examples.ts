/** Examples that the program already holds. */
import type { DataSource } from './source.ts';
import { ClientError } from '../errors.ts';
import type { Examples } from '../training/engine.ts';

/** @throws ClientError `DATA_INVALID` when the lengths do not belong to `count` examples */
export function fromExamples(examples: Examples, description = 'examples in memory'): DataSource {
  checkExamples(examples, description);
  return { description, load: () => Promise.resolve(examples) };
}

/** What any source must give; whether it fits the model is the engine's question. */
export function checkExamples({ count, features, labels }: Examples, description: string): void {
  const fits = (length: number): boolean => (count === 0 ? length === 0 : length > 0 && length % count === 0);
  if (!Number.isInteger(count) || count < 0)
    throw new ClientError('DATA_INVALID', `${description}: count is ${count}, not a number of examples`);
  if (!fits(features.length) || !fits(labels.length))
    throw new ClientError(
      'DATA_INVALID',
      `${description}: ${features.length} feature values and ${labels.length} labels do not divide over ${count} examples`,
    );
  const wrong = features.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0)
    throw new ClientError(
      'DATA_INVALID',
      `${description}: example ${Math.floor(wrong / (features.length / count))} has a feature that is not a finite number`,
    );
}
