/** A CSV file with a header: one column is the label, every other one a numeric feature. */
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { parse } from 'csv-parse';
import { ClientError } from '../errors.ts';
import type { Examples } from '../training/engine.ts';
import type { DataSource } from './source.ts';

export interface CsvOptions {
  readonly path: string;
  /** Name of the label's column. */
  readonly label: string;
  /** Features are divided by this: 255 for pixel bytes. */
  readonly scale?: number;
}

export function fromCsv({ path, label, scale = 1 }: CsvOptions): DataSource {
  if (!Number.isFinite(scale) || scale === 0)
    throw new ClientError('DATA_INVALID', `scale is ${scale}; it must be a number other than 0`);
  return { description: `CSV ${path}`, load: (signal) => load(path, label, scale, signal) };
}

async function load(path: string, label: string, scale: number, signal: AbortSignal): Promise<Examples> {
  const features: number[] = [];
  const labels: number[] = [];
  let columns: Columns | null = null;
  try {
    // A file that cannot be read must end the rows: `pipe` would leave them waiting, and its error to nobody.
    const rows = pipeline(
      createReadStream(path, { signal }),
      parse({ bom: true, skip_empty_lines: true, trim: true }),
      () => undefined,
    );
    for await (const row of rows as AsyncIterable<string[]>) {
      if (columns === null) {
        columns = readHeader(path, row, label);
        continue;
      }
      const line = labels.length + 2;
      labels.push(numberAt(path, row, columns.label, line, label));
      for (const at of columns.features) {
        features.push(numberAt(path, row, at, line, columns.names[at] ?? '') / scale);
      }
    }
  } catch (cause) {
    if (cause instanceof ClientError || signal.aborted) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ClientError('DATA_INVALID', `${path} cannot be read: ${why}`, { cause });
  }
  if (columns === null) throw new ClientError('DATA_INVALID', `${path} is empty; its first line must name the columns`);
  const isClass = labels.every((value) => Number.isInteger(value));
  return {
    count: labels.length,
    features: Float32Array.from(features),
    labels: isClass ? Int32Array.from(labels) : Float32Array.from(labels),
  };
}

interface Columns {
  readonly names: readonly string[];
  readonly label: number;
  readonly features: readonly number[];
}

function readHeader(path: string, names: readonly string[], label: string): Columns {
  const at = names.indexOf(label);
  if (at < 0)
    throw new ClientError('DATA_INVALID', `${path} has no column "${label}"; it has ${names.slice(0, 20).join(', ')}`);
  return { names, label: at, features: names.map((_name, index) => index).filter((index) => index !== at) };
}

function numberAt(path: string, row: readonly string[], at: number, line: number, column: string): number {
  const text = row[at] ?? '';
  const value = text === '' ? Number.NaN : Number(text);
  if (Number.isFinite(value)) return value;
  throw new ClientError('DATA_INVALID', `${path}, record ${line}, column "${column}": "${text}" is not a number`);
}
