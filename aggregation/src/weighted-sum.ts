/**
 * Accumulates updates weighted by examples in binary64. Addition of floats depends on its order, so callers add in the order
 * of client ids (never of arrival) and merge shards in their order: then the sum is a function of the set of updates alone.
 * In-place mutation is right here, and only here: one accumulator, many megabytes.
 */
import { AggregationError } from './errors.ts';
import { allFinite } from './finite.ts';

export class WeightedSum {
  readonly #sum: Float64Array;
  #weight = 0;
  #count = 0;

  /** @param size number of parameters */
  constructor(size: number) {
    this.#sum = new Float64Array(size);
  }

  get count(): number {
    return this.#count;
  }

  /** Total weight: the number of examples behind the sum. */
  get weight(): number {
    return this.#weight;
  }

  /** @throws AggregationError `VECTOR_LENGTH` */
  accumulate(delta: Float32Array, weight: number): void {
    this.#checkLength(delta.length);
    const sum = this.#sum;
    for (let i = 0; i < sum.length; i++) sum[i]! += weight * delta[i]!;
    this.#weight += weight;
    this.#count += 1;
  }

  /** Adds another sum, which must not be used afterwards. */
  merge(other: WeightedSum): void {
    this.#checkLength(other.#sum.length);
    for (let i = 0; i < this.#sum.length; i++) this.#sum[i]! += other.#sum[i]!;
    this.#weight += other.#weight;
    this.#count += other.#count;
  }

  /**
   * Of n updates within (n + 2) x 2^-53 of the mean magnitude from the exact mean; exact while sums of weight x value are whole
   * numbers below 2^53. @throws AggregationError `AGGREGATE_EMPTY` or `AGGREGATE_NONFINITE`
   */
  mean(): Float64Array {
    if (this.#count === 0 || this.#weight <= 0)
      throw new AggregationError('AGGREGATE_EMPTY', 'no update was accumulated');
    const mean = this.#sum.map((value) => value / this.#weight);
    if (!allFinite(mean)) throw new AggregationError('AGGREGATE_NONFINITE', 'the weighted sum overflowed');
    return mean;
  }

  #checkLength(length: number): void {
    if (length !== this.#sum.length) {
      throw new AggregationError('VECTOR_LENGTH', `${length} numbers added to a sum of ${this.#sum.length}`);
    }
  }
}
