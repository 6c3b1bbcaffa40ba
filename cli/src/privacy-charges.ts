/** The mechanism of the command line as events of the accountant. */
import { parseCharges } from '@carapace/aggregation';
import type { Charge } from '@carapace/aggregation';
import { CliError } from './errors.ts';
import { readTextFile } from './local-files.ts';

export interface MechanismOptions {
  readonly mechanism: string;
  readonly noiseMultiplier?: string;
  readonly sampling: string;
  readonly samplingScheme?: string;
  readonly population?: string;
  readonly steps: string;
  readonly events?: string;
}

/** What the command line says once, with the three parameters that calibration may vary. */
export interface Plan {
  readonly noise: number | undefined;
  readonly sampling: number;
  readonly steps: number;
  /** Where the noise of the mechanism may lie. */
  readonly noiseRange: { readonly low: number; readonly high: number };
  chargesAt(changed: {
    readonly noise?: number;
    readonly sampling?: number;
    readonly steps?: number;
  }): readonly Charge[];
}

const MECHANISMS = ['gaussian', 'laplace', 'discrete-gaussian', 'discrete-laplace', 'skellam'] as const;
const SCHEMES = ['poisson', 'fixed', 'none'] as const;

/** @throws CliError `USAGE_INVALID`, or AggregationError `PRIVACY_EVENT_INVALID` */
export function planOf(options: MechanismOptions): Plan {
  const sampling = numberOf('--sampling', options.sampling);
  const steps = numberOf('--steps', options.steps);
  const noise =
    options.noiseMultiplier === undefined ? undefined : numberOf('--noise-multiplier', options.noiseMultiplier);
  const mechanism = choiceOf('--mechanism', options.mechanism, MECHANISMS);
  const scheme = choiceOf('--sampling-scheme', options.samplingScheme ?? (sampling < 1 ? 'poisson' : 'none'), SCHEMES);
  if (scheme === 'none' && sampling !== 1)
    throw usage(`--sampling is ${sampling}, but --sampling-scheme none means that all take part`);
  if (scheme === 'fixed' && mechanism !== 'gaussian')
    throw usage('--sampling-scheme fixed goes with --mechanism gaussian alone');
  const population = options.population === undefined ? undefined : numberOf('--population', options.population);
  return {
    noise,
    sampling,
    steps,
    // Variances of integer noise go from 0.01 to 1e7.
    noiseRange:
      mechanism === 'discrete-gaussian' || mechanism === 'skellam'
        ? { low: 0.1, high: 3162 }
        : { low: 0.02, high: 1e4 },
    chargesAt: (changed) => {
      const value = { noise, sampling, steps, ...changed };
      if (value.noise === undefined) throw usage('--noise-multiplier is missing');
      const base = baseEvent(mechanism, value.noise);
      const event =
        scheme === 'fixed'
          ? { kind: 'without-replacement', ...cohortOf(value.sampling, population), noiseMultiplier: value.noise }
          : scheme === 'poisson' && value.sampling !== 1
            ? { kind: 'poisson', probability: value.sampling, event: base }
            : base;
      return parseCharges([{ event, count: value.steps }]);
    },
  };
}

function baseEvent(mechanism: (typeof MECHANISMS)[number], noise: number): Readonly<Record<string, unknown>> {
  switch (mechanism) {
    case 'gaussian':
      return { kind: mechanism, noiseMultiplier: noise };
    case 'laplace':
    case 'discrete-laplace':
      return { kind: mechanism, scale: noise };
    case 'discrete-gaussian':
    case 'skellam':
      return { kind: mechanism, variance: noise * noise };
  }
}

/** Of a share: the population that was given, or one so large that rounding the cohort to a whole number does not show. */
function cohortOf(share: number, given: number | undefined): { readonly population: number; readonly sample: number } {
  const population = given ?? 1e9;
  const sample = Math.ceil(share * population - 1e-9);
  return { population, sample };
}

/** @throws CliError `USAGE_INVALID`, `FILE_UNREADABLE`, or AggregationError `PRIVACY_EVENT_INVALID` */
export function chargesOf(options: MechanismOptions): readonly Charge[] {
  if (options.events === undefined) return planOf(options).chargesAt({});
  if (options.noiseMultiplier !== undefined) throw usage('--events and --noise-multiplier exclude each other');
  return parseCharges(readJsonFile(options.events));
}

/** @throws CliError `FILE_UNREADABLE` */
export function readJsonFile(file: string): unknown {
  const text = readTextFile(file);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CliError('FILE_UNREADABLE', `${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
}

/** @throws CliError `USAGE_INVALID` */
export function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw usage(`${option} is "${text}", not a number`);
}

/** @throws CliError `USAGE_INVALID` */
export function choiceOf<const T extends string>(option: string, text: string, choices: readonly T[]): T {
  const chosen = choices.find((choice) => choice === text);
  if (chosen !== undefined) return chosen;
  throw usage(`${option} is "${text}"; it may be ${choices.join(', ')}`);
}

function usage(why: string): CliError {
  return new CliError('USAGE_INVALID', why);
}
