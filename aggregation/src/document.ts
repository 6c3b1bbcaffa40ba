/**
 * Reads one level of a document that a person wrote: every key is known or refused, every value in range, and every error
 * names the key, the value found and what is allowed.
 */
import { AggregationError } from './errors.ts';

/** Makes the error of the document's kind. */
export type Refuse = (message: string, options?: ErrorOptions) => Error;

const refuseTask: Refuse = (message, options) => new AggregationError('TASK_INVALID', message, options);

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
}

export class DocumentReader {
  readonly #path: string;
  readonly #fail: Refuse;
  readonly #fields: ReadonlyMap<string, unknown>;
  readonly #known = new Set<string>();

  /** @throws what `fail` makes (by default AggregationError `TASK_INVALID`), here and from every method */
  constructor(value: unknown, path = '', fail: Refuse = refuseTask) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw fail(`${path || 'the document'} is ${describe(value)}; allowed is an object with keys`);
    this.#path = path;
    this.#fail = fail;
    this.#fields = new Map(Object.entries(value));
  }

  /** A number within bounds, both included. Without a default the key is required. */
  number(key: string, bounds: Bounds, byDefault?: number): number {
    const value = this.#take(key, byDefault);
    if (isWithin(value, bounds)) return value;
    throw this.#wrong(key, value, allowedBy(bounds));
  }

  /** As {@link number}, or null. */
  numberOrNull(key: string, bounds: Bounds, byDefault: number | null): number | null {
    const value = this.#take(key, byDefault);
    if (value === null || isWithin(value, bounds)) return value;
    throw this.#wrong(key, value, `${allowedBy(bounds)}, or null`);
  }

  text(key: string, byDefault?: string): string {
    const value = this.#take(key, byDefault);
    if (typeof value === 'string' && value !== '') return value;
    throw this.#wrong(key, value, 'a text');
  }

  /** As {@link text}; absent or null is null. */
  textOrNull(key: string): string | null {
    return this.#take(key, null) === null ? null : this.text(key);
  }

  choice<const T extends string>(key: string, choices: readonly T[], byDefault?: T): T {
    const value = this.#take(key, byDefault);
    const chosen = choices.find((choice) => choice === value);
    if (chosen !== undefined) return chosen;
    throw this.#wrong(key, value, `one of ${choices.join(', ')}`);
  }

  /** The reader of a nested object; an absent one with a default of `{}` is read as empty. */
  object(key: string, byDefault?: Record<string, unknown>): DocumentReader {
    return new DocumentReader(this.#take(key, byDefault), this.#pathOf(key), this.#fail);
  }

  list(key: string): readonly unknown[] {
    const value = this.#take(key, undefined);
    if (Array.isArray(value)) return value;
    throw this.#wrong(key, value, 'a list');
  }

  /** Whether an optional part is there; null is as good as absent. */
  has(key: string): boolean {
    return (this.#take(key, null) ?? null) !== null;
  }

  /** A list of texts through a parser. */
  parsedList<T>(key: string, parse: (text: string) => T): T[] {
    return this.list(key).map((item) => {
      if (typeof item !== 'string') throw this.#wrong(key, item, 'a list of texts');
      return this.#parse(key, item, parse);
    });
  }

  /** Text through a parser whose own error becomes the explanation. */
  parsed<T>(key: string, parse: (text: string) => T): T {
    return this.#parse(key, this.text(key), parse);
  }

  #parse<T>(key: string, text: string, parse: (text: string) => T): T {
    try {
      return parse(text);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw this.#fail(`${this.#pathOf(key)} is "${text}": ${why}`, { cause });
    }
  }

  /** Must be the last call: a key that nobody asked for is a mistake, often a misspelling. */
  end(): void {
    const unknown = [...this.#fields.keys()].find((key) => !this.#known.has(key));
    if (unknown === undefined) return;
    throw this.#fail(`${this.#pathOf(unknown)} is not a key here; known are ${[...this.#known].join(', ')}`);
  }

  /** For rules that join several keys. */
  refuse(key: string, why: string): Error {
    return this.#fail(`${this.#pathOf(key)} ${why}`);
  }

  #take(key: string, byDefault: unknown): unknown {
    this.#known.add(key);
    const value = this.#fields.get(key);
    return value === undefined ? byDefault : value;
  }

  #wrong(key: string, value: unknown, allowed: string): Error {
    return this.#fail(`${this.#pathOf(key)} is ${describe(value)}; allowed is ${allowed}`);
  }

  #pathOf(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`;
  }
}

function isWithin(value: unknown, { min, max, integer = false }: Bounds): value is number {
  return typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value));
}

function allowedBy({ min, max, integer = false }: Bounds): string {
  return `${integer ? 'an integer' : 'a number'} from ${min} to ${max}`;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const found = typeof value === 'string' ? `"${value}"` : String(value);
  return found === 'undefined' ? 'missing' : found;
}
