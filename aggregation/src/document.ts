/**
 * Reads one level of a document that a person wrote: every key is known or refused, every value in range, and every error
 * names the key, the value found and what is allowed.
 */
import { AggregationError } from './errors.ts';

/** Makes the error of the document's kind. */
export type Refuse = (message: string, options?: ErrorOptions) => Error;

const refuseTask: Refuse = (message, options) => new AggregationError('TASK_INVALID', message, options);

export class DocumentReader {
  readonly #path: string;
  readonly #fail: Refuse;
  readonly #fields: ReadonlyMap<string, unknown>;
  readonly #known = new Set<string>();

  /** @throws what `fail` makes (by default AggregationError `TASK_INVALID`), here and from every method */
  constructor(value: unknown, path = '', fail: Refuse = refuseTask) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new AggregationError(
        'TASK_INVALID',
        `${path || 'the document'} is ${describe(value)}, not an object with keys`,
      );
    }
    this.#path = path;
    this.#fail = fail;
    this.#fields = new Map(Object.entries(value));
  }

  /** A number within bounds, both included. Without a default the key is required. */
  number(
    key: string,
    bounds: { readonly min: number; readonly max: number; readonly integer?: boolean },
    byDefault?: number,
  ): number {
    const value = this.#take(key, byDefault);
    const { min, max, integer = false } = bounds;
    if (typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value)))
      return value;
    throw this.#wrong(key, value, `${integer ? 'an integer' : 'a number'} from ${min} to ${max}`);
  }

  /** As {@link number}, or null. */
  numberOrNull(
    key: string,
    bounds: { readonly min: number; readonly max: number; readonly integer?: boolean },
    byDefault: number | null,
  ): number | null {
    const value = this.#take(key, byDefault);
    return value === null ? null : this.number(key, bounds, byDefault ?? undefined);
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

  /** Text through a parser whose own error becomes the explanation. */
  parsed<T>(key: string, parse: (text: string) => T): T {
    const text = this.text(key);
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
    throw new AggregationError(
      'TASK_INVALID',
      `${this.#pathOf(unknown)} is not a key here; known are ${[...this.#known].join(', ')}`,
    );
  }

  /** For rules that join several keys. */
  refuse(key: string, why: string): Error {
    return this.#fail(`${this.#pathOf(key)} ${why}`);
  }

  #take(key: string, byDefault: unknown): unknown {
    this.#known.add(key);
    const value = this.#fields.has(key) ? this.#fields.get(key) : byDefault;
    if (value === undefined) throw this.#fail(`${this.#pathOf(key)} is missing`);
    return value;
  }

  #wrong(key: string, value: unknown, allowed: string): Error {
    return this.#fail(`${this.#pathOf(key)} is ${describe(value)}; allowed is ${allowed}`);
  }

  #pathOf(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`;
  }
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'string' ? `"${value}"` : String(value);
}
