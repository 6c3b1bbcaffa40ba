/** `--data`: a data source in a word, with options as in a URL's query. */
import { fromCsv, fromModule } from '@carapace/client-sdk';
import type { DataSource } from '@carapace/client-sdk';
import { mnistPart } from '@carapace/simulations';
import { CliError } from './errors.ts';

/** @throws CliError `USAGE_INVALID` */
export async function dataSourceOf(spec: string): Promise<DataSource> {
  const [path = '', query = ''] = split(spec);
  const options = new Map(new URLSearchParams(query));
  const source = await sourceOf(path, options);
  const [unknown] = options.keys();
  if (unknown !== undefined) throw new CliError('USAGE_INVALID', `--data ${path} has no option "${unknown}"`);
  return source;
}

function split(spec: string): string[] {
  const at = spec.indexOf('?');
  return at < 0 ? [spec] : [spec.slice(0, at), spec.slice(at + 1)];
}

async function sourceOf(path: string, options: Map<string, string>): Promise<DataSource> {
  if (path === 'mnist') return mnist(options);
  if (path.endsWith('.csv'))
    return fromCsv({ path, label: take(options, 'label', 'label'), scale: number(options, 'scale', 1) });
  if (/\.(mjs|js|ts|mts)$/.test(path)) {
    const all = Object.fromEntries(options);
    options.clear();
    return fromModule(path, all);
  }
  throw new CliError(
    'USAGE_INVALID',
    `--data is "${path}"; it may be mnist, a .csv file, or a module (.mjs, .js, .ts)`,
  );
}

function mnist(options: Map<string, string>): DataSource {
  const parts = number(options, 'parts', 1);
  const part = number(options, 'part', 0);
  if (!Number.isInteger(parts) || !Number.isInteger(part) || part < 0 || part >= parts)
    throw new CliError('USAGE_INVALID', `part ${part} of ${parts}: parts count from 0 to parts - 1`);
  const alpha = take(options, 'alpha', 'even');
  const seed = take(options, 'seed', '1');
  return mnistPart({ part, parts, seed, alpha: alpha === 'even' ? null : numberOf('alpha', alpha) });
}

function take(options: Map<string, string>, key: string, byDefault: string): string {
  const value = options.get(key) ?? byDefault;
  options.delete(key);
  return value;
}

function number(options: Map<string, string>, key: string, byDefault: number): number {
  return numberOf(key, take(options, key, String(byDefault)));
}

function numberOf(key: string, text: string): number {
  const value = Number(text);
  if (text !== '' && Number.isFinite(value)) return value;
  throw new CliError('USAGE_INVALID', `--data option ${key} is "${text}", not a number`);
}
