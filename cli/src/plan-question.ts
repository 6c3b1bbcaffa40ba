/** The options of `carapace plan` as the planner's document; what they may be is its to say. */
import { parseSafetensors } from '@carapace/aggregation';
import { parse as parseYaml } from 'yaml';
import { CliError } from './errors.ts';
import { readTextFile } from './local-files.ts';
import { numberOf } from './privacy-charges.ts';

const NUMBERS = [
  'population',
  'cohort',
  'minimum',
  'overSelection',
  'rounds',
  'epsilon',
  'delta',
  'participations',
  'apart',
  'bits',
  'clip',
  'colluding',
  'parameters',
  'dropout',
] as const;
const TEXTS = [
  'view',
  'noiseMultiplier',
  'noise',
  'selection',
  'rate',
  'relation',
  'mode',
  'protection',
  'placement',
] as const;

export type PlanFlags = Readonly<Partial<Record<(typeof NUMBERS)[number] | (typeof TEXTS)[number], string>>> & {
  readonly model?: string;
  readonly prices?: string;
  readonly svg?: string;
  readonly budgets?: string;
  /** Of the coordinator that is asked; without one the plan is computed here. */
  readonly url?: string;
  readonly keyFile?: string;
  readonly data: string;
};

/** @throws CliError `USAGE_INVALID` or `FILE_UNREADABLE` */
export async function planDocument(task: string | undefined, flags: PlanFlags): Promise<Record<string, unknown>> {
  const document: Record<string, unknown> = task === undefined ? {} : { task: readYaml(task) };
  for (const name of NUMBERS) {
    const text = flags[name];
    if (text !== undefined) document[name] = numberOf(optionOf(name), text);
  }
  for (const name of TEXTS) if (flags[name] !== undefined) document[name] = flags[name];
  if (flags.prices !== undefined) document['prices'] = pricesOf(flags.prices);
  if (flags.budgets !== undefined) document['budgets'] = budgetsOf(flags);
  if (flags.model !== undefined) {
    if (flags.parameters !== undefined) throw usage('--model counts what --parameters says: name one of them');
    if (flags.url !== undefined && !isFile(flags.model)) document['model'] = flags.model;
    else document['parameters'] = await parametersOf(flags.model);
  }
  return document;
}

function budgetsOf({ budgets = '', url }: PlanFlags): string[] {
  if (url === undefined) throw usage('--budgets goes with --url: a coordinator keeps them');
  return budgets.split(',');
}

function isFile(source: string): boolean {
  return source.endsWith('.json') || source.endsWith('.safetensors');
}

async function parametersOf(source: string): Promise<number> {
  const { modelSource } = await import('./model-source.ts');
  return parseSafetensors(await modelSource(source)).weights.length;
}

function pricesOf(text: string): Record<string, number> {
  const pairs = text.split(',').map((pair) => pair.split('='));
  const broken = pairs.find((pair) => pair.length !== 2);
  if (broken !== undefined) throw usage(`--prices is "${text}"; it may be such as noise=1,cohort=2`);
  return Object.fromEntries(pairs.map(([name = '', price = '']) => [name, numberOf('--prices', price)]));
}

function readYaml(file: string): unknown {
  const text = readTextFile(file);
  try {
    return parseYaml(text);
  } catch (cause) {
    throw new CliError('FILE_UNREADABLE', `${file} is not YAML: ${(cause as Error).message}`, { cause });
  }
}

function optionOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function usage(why: string): CliError {
  return new CliError('USAGE_INVALID', why);
}
