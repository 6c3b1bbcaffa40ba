/** What a bench is made of: a warm-up, repeats, their median and spread, and a figure beside the limit or the peer that it is measured against. */
import { cpus, totalmem } from 'node:os';

/** `*\/bench/NAME.bench.ts` exports one as `bench`. */
export interface Bench {
  /** One line for the list. */
  readonly description: string;
  /** How the figures come about: sizes, repeats, what is and is not in the time. */
  readonly method: string;
  run(): Promise<readonly Figure[]>;
}

export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Smallest and largest of the repeats. */
  readonly spread: readonly [low: number, high: number];
  /** The least that is wanted, or with `atMost` the most; null for a figure that is only told. */
  readonly goal: number | null;
  readonly atMost?: boolean;
  /** What it stands beside: the limit of the machine, or the same thing done by a peer, with its own value. */
  readonly anchor: string;
}

export interface Measured {
  readonly median: number;
  readonly spread: readonly [low: number, high: number];
}

/** Values of `repeats` calls after `warmUps` that do not count. */
export async function measure(
  value: () => number | Promise<number>,
  { warmUps = 2, repeats = 7 }: { readonly warmUps?: number; readonly repeats?: number } = {},
): Promise<Measured> {
  for (let i = 0; i < warmUps; i++) await value();
  const values: number[] = [];
  for (let i = 0; i < repeats; i++) values.push(await value());
  return summary(values);
}

export function summary(values: readonly number[]): Measured {
  if (values.length === 0) throw new Error('a measurement needs one value at least');
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return { median, spread: [sorted[0]!, sorted.at(-1)] };
}

/** How many times a second: `count` in one call of `body`. */
export async function perSecond(count: number, body: () => void | Promise<void>): Promise<number> {
  const started = performance.now();
  await body();
  return (count * 1000) / (performance.now() - started);
}

/** Measured values as a figure. */
export function figure(
  what: string,
  unit: string,
  { median, spread }: Measured,
  { goal = null, atMost = false, anchor }: Pick<Figure, 'anchor'> & Partial<Pick<Figure, 'goal' | 'atMost'>>,
): Figure {
  return { what, value: median, unit, spread, goal, atMost, anchor };
}

export function isMet({ value, goal, atMost = false }: Figure): boolean | null {
  if (goal === null) return null;
  return atMost ? value <= goal : value >= goal;
}

export function machine(): string {
  const [first] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${first?.model.trim() ?? 'unknown CPU'}, ${cpus().length} cores, ${memory} GiB, Node ${process.versions.node}`;
}

/** Three significant digits, thousands apart. */
export function readable(value: number): string {
  return new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 }).format(value);
}
