/** Reads a layer's configuration, of which the model's JSON holds anything: as numbers, flags and names, or a reason why not. */
import { ClientError } from '../../errors.ts';

/** @throws ClientError `MODEL_UNSUPPORTED`: what the plan cannot express, named */
export function unsupported(why: string): ClientError {
  return new ClientError('MODEL_UNSUPPORTED', why);
}

export type Json = { readonly [key: string]: unknown };

export class LayerConfig {
  readonly #of: Json;
  /** Class and name, for reasons. */
  readonly label: string;

  constructor(of: Json, label: string) {
    this.#of = of;
    this.label = label;
  }

  has(key: string): boolean {
    return this.#of[key] !== undefined && this.#of[key] !== null;
  }

  raw(key: string): unknown {
    return this.#of[key];
  }

  number(key: string, otherwise?: number): number {
    const value = this.#of[key] ?? otherwise;
    if (typeof value === 'number') return value;
    throw this.#unfit(key);
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.#of[key] ?? otherwise;
    if (typeof value === 'boolean') return value;
    throw this.#unfit(key);
  }

  text(key: string, otherwise?: string): string {
    const value = this.#of[key] ?? otherwise;
    if (typeof value === 'string') return value;
    throw this.#unfit(key);
  }

  /** A list of numbers; one number stands for `count` of them. */
  numbers(key: string, count: number | null, otherwise?: number): number[] {
    const value = this.#of[key] ?? otherwise;
    if (typeof value === 'number') return Array<number>(count ?? 1).fill(value);
    const list: readonly unknown[] = Array.isArray(value) ? value : [];
    if (
      Array.isArray(value) &&
      list.every((item) => typeof item === 'number') &&
      (count ?? list.length) === list.length
    )
      return [...list];
    throw this.#unfit(key);
  }

  /** Refuses what changes the result but is not computed here. */
  refuse(key: string, what: string): void {
    const value = this.#of[key];
    if (value !== undefined && value !== null && value !== false && value !== 0)
      throw unsupported(`${this.label} has ${what}`);
  }

  /** An activation's name in lower case without underscores; an object is one with a class name. */
  activation(key: string, otherwise = 'linear'): string {
    const value = this.#of[key] ?? otherwise;
    const name = typeof value === 'object' ? (value as Json)['class_name'] : value;
    if (typeof name !== 'string') throw this.#unfit(key);
    return name.toLowerCase().replaceAll('_', '');
  }

  /** Shapes are [height, width, channels] here. */
  refuseChannelsFirst(): void {
    const format = this.#of['data_format'];
    if (format === 'channels_first' || format === 'channelsFirst')
      throw unsupported(`${this.label} has its channels first`);
  }

  #unfit(key: string): ClientError {
    return unsupported(`${this.label} has ${key} = ${JSON.stringify(this.#of[key]) ?? 'undefined'}`);
  }
}
