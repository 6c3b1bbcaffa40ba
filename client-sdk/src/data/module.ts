/** A data source of the user's own: a JavaScript or TypeScript module whose default export is one, or a function that makes one. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ClientError } from '../errors.ts';
import { checkExamples } from './examples.ts';
import type { DataSource } from './source.ts';

/** @throws ClientError `DATA_INVALID` naming what the module lacks */
export async function fromModule(path: string, options: Readonly<Record<string, string>> = {}): Promise<DataSource> {
  let exported: unknown;
  try {
    exported = ((await import(pathToFileURL(resolve(path)).href)) as { default?: unknown }).default;
    if (typeof exported === 'function') exported = await (exported as (options: unknown) => unknown)(options);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ClientError('DATA_INVALID', `the data module ${path} failed: ${why}`, { cause });
  }
  if (!isDataSource(exported)) {
    throw new ClientError(
      'DATA_INVALID',
      `${path} must have a default export { description, load(signal) }, or a function that returns one`,
    );
  }
  const source = exported;
  return {
    description: source.description,
    load: async (signal) => {
      const examples = await source.load(signal);
      checkExamples(examples, source.description);
      return examples;
    },
  };
}

function isDataSource(value: unknown): value is DataSource {
  const candidate = value as Partial<Record<keyof DataSource, unknown>> | null;
  return typeof candidate?.description === 'string' && typeof candidate.load === 'function';
}
