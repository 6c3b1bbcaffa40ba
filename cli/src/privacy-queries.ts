/** The three questions of `carapace privacy`, as a result for programs and as rows for people. */
import {
  calibrate,
  canonicalCharges,
  PRIVACY_ENGINES,
  privacyDelta,
  privacyEpsilon,
  RELATIONS,
} from '@carapace/aggregation';
import type { Calibration, Charge, PrivacyAnswer, QueryOptions } from '@carapace/aggregation';
import { CliError } from './errors.ts';
import { chargesOf, choiceOf, numberOf, planOf } from './privacy-charges.ts';
import type { MechanismOptions, Plan } from './privacy-charges.ts';

export interface QueryFlags extends MechanismOptions {
  readonly relation: string;
  readonly engine: string;
  readonly tolerance: string;
}

type Row = readonly [string, string];

export interface Told {
  readonly result: object;
  readonly rows: readonly Row[];
}

export function epsilonFor(flags: QueryFlags, text: string): Told {
  const delta = numberOf('--delta', text);
  const charges = chargesOf(flags);
  const answer = privacyEpsilon(charges, delta, optionsOf(flags));
  const epsilon = finite(answer.value);
  return told({ epsilon, delta }, answer, charges, [
    ['epsilon', shown(answer.value)],
    ['delta', shown(delta)],
  ]);
}

export function deltaFor(flags: QueryFlags, text: string): Told {
  const epsilon = numberOf('--epsilon', text);
  const charges = chargesOf(flags);
  const answer = privacyDelta(charges, epsilon, optionsOf(flags));
  return told({ epsilon, delta: answer.value }, answer, charges, [
    ['delta', shown(answer.value)],
    ['epsilon', shown(epsilon)],
  ]);
}

const SOLVABLE = ['noise', 'steps', 'sampling'] as const;

export function calibrationFor(
  flags: QueryFlags & { readonly solve: string; readonly epsilon: string; readonly delta: string },
): Told {
  if (flags.events !== undefined)
    throw new CliError('USAGE_INVALID', '--events says everything: there is nothing to calibrate');
  const solve = choiceOf('--solve', flags.solve, SOLVABLE);
  const epsilon = numberOf('--epsilon', flags.epsilon);
  const delta = numberOf('--delta', flags.delta);
  if (solve === 'sampling' && flags.samplingScheme === 'none') {
    throw new CliError('USAGE_INVALID', '--sampling-scheme none has no sampling to solve for');
  }
  const plan = planOf(solve === 'sampling' ? { ...flags, samplingScheme: flags.samplingScheme ?? 'poisson' } : flags);
  const search = searchFor(solve, plan);
  const { value, answer } = calibrate({ ...optionsOf(flags), ...search, epsilon, delta });
  const name = { noise: 'noise multiplier', steps: 'steps', sampling: 'sampling probability' }[solve];
  const target = { epsilon, delta };
  return told({ [solve]: value, target, epsilon: answer.value, delta }, answer, search.chargesAt(value), [
    [name, String(value)],
    ['epsilon', `${shown(answer.value)}, target ${shown(epsilon)}`],
    ['delta', shown(delta)],
  ]);
}

type Search = Pick<Calibration, 'chargesAt' | 'protects' | 'low' | 'high' | 'whole'>;

function searchFor(solve: (typeof SOLVABLE)[number], plan: Plan): Search {
  switch (solve) {
    case 'noise':
      return { chargesAt: (noise) => plan.chargesAt({ noise }), protects: 'more', ...plan.noiseRange };
    case 'steps':
      return { chargesAt: (steps) => plan.chargesAt({ steps }), protects: 'less', low: 1, high: 1e8, whole: true };
    case 'sampling':
      return { chargesAt: (sampling) => plan.chargesAt({ sampling }), protects: 'less', low: 1e-9, high: 1 };
  }
}

function optionsOf({ relation, engine, tolerance }: QueryFlags): Required<QueryOptions> {
  return {
    relation: choiceOf('--relation', relation, RELATIONS),
    engine: choiceOf('--engine', engine, PRIVACY_ENGINES),
    tolerance: numberOf('--tolerance', tolerance),
  };
}

function told(result: object, answer: PrivacyAnswer, charges: readonly Charge[], rows: readonly Row[]): Told {
  const { value: _, ...explained } = answer;
  const events = JSON.parse(canonicalCharges(charges)) as unknown;
  return { result: { ...result, ...explained, events }, rows: [...rows, ...explainedRows(answer)] };
}

function explainedRows({ engine, method, direction, relation, errorBound, order }: PrivacyAnswer): Row[] {
  return [
    ['relation', relation],
    ['engine', `${engine}, by ${method}${order === null ? '' : ` of order ${shown(order)}`}`],
    ['direction', direction === 'both' ? 'the same both ways' : `${direction} is the worse`],
    [
      'accuracy',
      errorBound === null ? 'an upper bound' : `within about ${errorBound.toExponential(1)} of the truth, relative`,
    ],
  ];
}

/** JSON has no infinity. */
function finite(value: number): number | 'Infinity' {
  return value === Infinity ? 'Infinity' : value;
}

function shown(value: number): string {
  return String(Number(value.toPrecision(7)));
}
