/** One entry of a file of reference values for accountants, as `carapace privacy check` reads it. */
import { DocumentReader } from '../../document.ts';
import { AggregationError } from '../../errors.ts';
import type { Refuse } from '../../document.ts';

/** A parameter that an entry has not, or in another form. */
const refuse: Refuse = (message, options) => new AggregationError('PRIVACY_QUERY_INVALID', message, options);

/** How close is close enough, and on which side. */
export type Comparison = 'exact' | 'upper' | 'smallest' | 'formula';

export interface ReferenceEntry {
  readonly id: string;
  readonly mechanism: string;
  readonly category: string;
  readonly accountant: string;
  readonly quantity: string;
  readonly comparison: Comparison;
  readonly expected: number;
  readonly relative: number;
  readonly absolute: number;
  readonly params: Params;
}

/** @throws AggregationError `PRIVACY_QUERY_INVALID` */
export function readEntries(value: unknown): readonly ReferenceEntry[] {
  const isObject = typeof value === 'object' && value !== null && 'entries' in value;
  const list = Array.isArray(value) ? value : isObject ? value.entries : undefined;
  if (!Array.isArray(list)) throw refuse('the file is neither a list of entries nor an object with the key "entries"');
  return list.map((item, i) => readEntry(item, `entries[${i}]`));
}

function readEntry(value: unknown, path: string): ReferenceEntry {
  const reader = new DocumentReader(value, path, refuse);
  const tolerance = reader.object('tolerance', {});
  const params = (value as { readonly params?: unknown }).params;
  const raw = (value as { readonly expected?: unknown }).expected;
  const expected = raw === 'Infinity' ? Infinity : Number(raw);
  if (typeof raw !== 'number' && raw !== 'Infinity')
    throw reader.refuse('expected', 'is neither a number nor "Infinity"');
  return {
    id: reader.text('id'),
    category: reader.text('category'),
    accountant: reader.text('accountant'),
    quantity: reader.text('quantity'),
    comparison: comparisonOf(reader.text('bound')),
    expected,
    relative: tolerance.number('rel', { min: 0, max: 1 }, 0),
    absolute: tolerance.number('abs', { min: 0, max: 1e9 }, 0),
    mechanism: new Params(params).text('mechanism', ''),
    params: new Params(params),
  };
}

function comparisonOf(bound: string): Comparison {
  if (bound.startsWith('exact (smallest')) return 'smallest';
  if (bound.startsWith('exact formula')) return 'formula';
  return bound.startsWith('exact') ? 'exact' : 'upper';
}

/** The parameters of an entry, each asked for by its name. */
export class Params {
  readonly #fields: Readonly<Record<string, unknown>>;

  /** @throws AggregationError `PRIVACY_QUERY_INVALID` from every method that finds a parameter missing or of another kind */
  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null) throw refuse('params is not an object');
    this.#fields = value as Readonly<Record<string, unknown>>;
  }

  has(key: string): boolean {
    return this.#fields[key] !== undefined;
  }

  number(key: string, byDefault?: number): number {
    const value = this.#fields[key] ?? byDefault;
    if (typeof value === 'number') return value;
    throw refuse(`params.${key} is ${JSON.stringify(value) ?? 'missing'}; a number is needed`);
  }

  text(key: string, byDefault?: string): string {
    const value = this.#fields[key] ?? byDefault;
    if (typeof value === 'string') return value;
    throw refuse(`params.${key} is ${JSON.stringify(value) ?? 'missing'}; a text is needed`);
  }

  numbers(key: string): readonly number[] {
    const value = this.#fields[key];
    if (Array.isArray(value) && value.every((item) => typeof item === 'number')) return value;
    throw refuse(`params.${key} is not a list of numbers`);
  }

  parts(): readonly Params[] {
    const value = this.#fields['parts'];
    if (Array.isArray(value)) return value.map((item) => new Params(item));
    throw refuse('params.parts is not a list');
  }
}
