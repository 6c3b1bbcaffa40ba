/** Remembers what a pure function gave: the same answers, sooner. Least recently used ones go when the whole weighs too much. */
export class Memo<Value> {
  readonly #kept = new Map<string, { readonly value: Value; readonly weight: number }>();
  readonly #limit: number;
  #weight = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string, make: () => Value, weigh: (value: Value) => number = () => 1): Value {
    const found = this.#kept.get(key);
    if (found !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, found);
      return found.value;
    }
    const value = make();
    const weight = weigh(value);
    this.#kept.set(key, { value, weight });
    this.#weight += weight;
    for (const [oldest, { weight: less }] of this.#kept) {
      if (this.#weight <= this.#limit || oldest === key) break;
      this.#kept.delete(oldest);
      this.#weight -= less;
    }
    return value;
  }
}
