import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../coordinator/src/config.ts';
import { ROOT } from '../generated.ts';
import { fences, tableRows } from './markdown.ts';

const { parse: parseYaml } = createRequire(join(ROOT, 'cli', 'package.json'))('yaml') as {
  readonly parse: (text: string) => Record<string, unknown>;
};
const document = readFileSync(join(ROOT, 'docs', 'configuration.md'), 'utf8');
const plain = (cell = ''): string => cell.replaceAll('`', '');
const keys = tableRows(document).map(([key, variable, , range = '', byDefault]) => ({
  key: plain(key),
  variable: plain(variable),
  range,
  byDefault: plain(byDefault),
}));

test('the page lists exactly the keys that the parser knows', () => {
  const known = /known are (.+)$/.exec(failure({ noSuchKey: 1 }))?.[1]?.split(', ');
  expect(keys.map(({ key }) => key).sort()).toEqual(known?.sort());
});

test('the example is the default configuration', () => {
  const [example = ''] = fences(document, 'yaml');
  expect(parseConfig(parseYaml(example), {}, {})).toEqual(parseConfig({}, {}, {}));
});

describe.each(keys)('$key', ({ key, variable, range, byDefault }) => {
  test('has the documented default', () => {
    const value = byDefault === 'null' ? null : /^[0-9]+(?:\.[0-9]+)?$/.test(byDefault) ? Number(byDefault) : byDefault;
    expect(parseConfig({ [key]: value }, {}, {})).toEqual(parseConfig({}, {}, {}));
  });

  test('is read from its environment variable, above the file and below the flags', () => {
    if (variable === '') return;
    const [environment, file, flag] = sample(key);
    const asEnvironment = { [variable]: String(environment) };
    expect(parseConfig({ [key]: file }, asEnvironment, {})).toEqual(parseConfig({ [key]: environment }, {}, {}));
    expect(parseConfig({ [key]: file }, asEnvironment, { [key]: flag })).toEqual(parseConfig({ [key]: flag }, {}, {}));
    expect(parseConfig({ [key]: file }, { [variable]: '' }, {})).toEqual(parseConfig({ [key]: file }, {}, {}));
  });

  test('takes what is documented and refuses what is not, by its name', () => {
    const bounds = /^([0-9.]+) to ([0-9]+)/.exec(range);
    const choices = [...range.matchAll(/`([a-z]+)`/g)].map(([, choice]) => choice);
    const good: unknown[] =
      bounds === null ? (choices.length > 0 ? choices : [...sample(key)]) : [Number(bounds[1]), Number(bounds[2])];
    const bad: unknown[] = bounds === null ? ['', 7] : [Number(bounds[1]) - 0.05, Number(bounds[2]) + 1, 'many'];
    for (const value of good) expect(failure({ [key]: value })).toBe('');
    for (const value of bad) expect(failure({ [key]: value })).toContain(`${key} is `);
    if (range.includes('an integer')) expect(failure({ [key]: 1.5 })).toContain('an integer');
  });
});

/** Three values that differ, of the key's own kind. */
function sample(key: string): readonly [unknown, unknown, unknown] {
  const samples: Readonly<Record<string, readonly [unknown, unknown, unknown]>> = {
    port: [1, 2, 3],
    databaseUrl: ['postgres://a', 'postgresql://b', 'postgres://c'],
    redisUrl: ['redis://a', 'rediss://b', 'redis://c'],
    publicUrl: ['https://a', 'http://b', 'https://c'],
    log: ['silent', 'info', 'error'],
  };
  return samples[key] ?? ['a', 'b', 'c'];
}

function failure(document: Record<string, unknown>): string {
  try {
    parseConfig(document, {}, {});
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
