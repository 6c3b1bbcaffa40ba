import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseTask } from '../../aggregation/src/index.ts';
import { ROOT } from '../generated.ts';
import { fences, tableRows } from './markdown.ts';

// The CLI reads task files with this very package.
const { parse: parseYaml } = createRequire(join(ROOT, 'cli', 'package.json'))('yaml') as {
  readonly parse: (text: string) => Record<string, unknown>;
};
const document = readFileSync(join(ROOT, 'docs', 'task.md'), 'utf8');
const [smallest = '', whole = '', sampled = '', adaptive = '', noisy = '', correlated = '', secure = '', shared = ''] =
  fences(document, 'yaml');
const keys = tableRows(document).map(([key = '', , range = '', byDefault = '']) => ({
  key: key.replaceAll('`', ''),
  range,
  byDefault,
}));

test('the smallest task becomes the one with every default written out', () => {
  expect(parseTask(parseYaml(smallest))).toEqual(parseTask(parseYaml(whole)));
});

test('the example of secret cohorts parses, and with nothing else around it is refused', () => {
  const task = parseYaml(sampled);
  expect(parseTask(task).cohort.selection).toEqual({ kind: 'poisson', rate: '0.01' });
  expect(() => parseTask({ ...task, protection: { kind: 'clear' } })).toThrow(/PRIVACY_UNPROVED/);
});

test('the example of an adaptive clip parses, with the defaults of a cohort of its size', () => {
  const task = parseYaml(adaptive);
  const written = parseTask(task).protection.privacy;
  expect(written?.adaptive).toEqual({ quantile: 0.5, rate: 0.2, bitDeviation: '5' });
  const privacy = { noiseMultiplier: '1.1', clip: 0.1, adaptive: {}, budgets: ['mnist'] };
  expect(parseTask({ ...task, protection: { kind: 'secagg', privacy } }).protection.privacy).toEqual(written);
});

test('the example of noise on examples parses', () => {
  const { training } = parseTask(parseYaml(noisy));
  expect(training.privacy).toEqual({ unit: 'example', noiseMultiplier: '1.1', clip: 1 });
});

test('the example of correlated noise parses', () => {
  const { protection } = parseTask(parseYaml(correlated));
  expect(protection.privacy?.matrix).toEqual({ kind: 'banded', band: 10, steps: 500, most: 6, apart: 50 });
});

/** Keys of a protection that the other one has not. */
const FOREIGN = { secagg: ['aggregator'], shares: ['mode'] } as const;

describe.each([
  ['secagg', secure, {}],
  ['shares', shared, { aggregator: 'cl_aaaaaaaaaaaaaaaaaaaaaaaaaa' }],
] as const)('the example with %s', (kind, example, required) => {
  const documented = keys
    .flatMap(({ key }) => (key.startsWith('protection.') ? [key.slice('protection.'.length)] : []))
    .filter((key) => !/^privacy\.(matrix|adaptive)/.test(key))
    .filter((key) => !FOREIGN[kind].some((foreign) => foreign === key));

  test('parses, with the documented keys of its protection written out', () => {
    const written = parseYaml(example)['protection'];
    const { protection } = parseTask(parseYaml(example));
    expect(leaves(written).sort()).toEqual(documented.toSorted());
    expect(leaves(protection).sort()).toEqual(documented.toSorted());
  });

  test('gets the documented defaults', () => {
    const task = { ...parseYaml(smallest), protection: { kind, ...required } };
    const protection = Object.entries(parseTask(task).protection).filter(
      ([key]) => key !== 'kind' && key !== 'privacy' && !(key in required),
    );
    const byDefault = new Map(keys.map((row) => [row.key, row.byDefault.replaceAll('`', '')]));
    expect(protection.map(([key]) => byDefault.get(`protection.${key}`))).toEqual(
      protection.map(([, value]) => String(value)),
    );
  });

  test('takes no key of the other protection', () => {
    for (const foreign of FOREIGN[kind]) {
      const [, other] = kind === 'secagg' ? [secure, shared] : [shared, secure];
      const value = (parseYaml(other)['protection'] as Record<string, unknown>)[foreign];
      const task = parseYaml(example);
      task['protection'] = { ...(task['protection'] as object), [foreign]: value };
      expect(() => parseTask(task)).toThrow(foreign);
    }
  });
});

test('the written-out example and the table list the same keys, but for those of other schedules and protections', () => {
  const ofOtherKinds =
    /^(schedule\.(seconds|pattern)|training\.privacy|cohort\.(selection\.(?!kind)|participation)|protection\.(?!kind))/;
  const listed = keys.map(({ key }) => key).filter((key) => !ofOtherKinds.test(key));
  expect(leaves(parseYaml(whole)).sort()).toEqual(listed.sort());
});

test('the parsed task has the documented keys and no other', () => {
  expect(leaves(parseTask(parseYaml(smallest))).sort()).toEqual(leaves(parseYaml(whole)).sort());
});

describe.each(keys)('$key', ({ key, range, byDefault }) => {
  const bounds = /^([0-9.e-]+) to (`target`|[0-9.e-]+)/.exec(range);
  const accepts = (value: unknown): boolean => {
    try {
      parseTask(withKey(key, value));
      return true;
    } catch {
      return false;
    }
  };

  test('is refused when it is required and absent, and only then', () => {
    expect(accepts(undefined)).toBe(!byDefault.startsWith('required'));
  });

  test('takes the ends of its range and nothing beyond', () => {
    if (bounds === null) return;
    const [min, max] = [Number(bounds[1]), bounds[2] === '`target`' ? 8 : Number(bounds[2])];
    expect([accepts(min), accepts(max)]).toEqual([true, true]);
    expect([accepts(min - 1e-10 - min * 1e-6), accepts(max + 1)]).toEqual([false, false]);
    expect(accepts(min + 0.5)).toBe(!range.includes('an integer'));
    expect(accepts(null)).toBe(range.includes('or null'));
  });

  test('takes each of its choices and nothing else', () => {
    const choices = [...range.matchAll(/`([a-z-]+)`/g)].flatMap(([, choice]) =>
      choice === 'target' || choice === 'name' ? [] : [choice],
    );
    for (const choice of choices) expect(accepts(choice)).toBe(true);
    if (choices.length > 0) expect(accepts('something-else')).toBe(false);
  });
});

/** A valid document around one key. */
function withKey(key: string, value: unknown): Record<string, unknown> {
  const task: Record<string, unknown> = {
    name: 'mnist',
    model: { name: 'mnist-2nn' },
    cohort: cohortFor(key, value),
    schedule: scheduleFor(key, value),
    protection: protectionFor(key, value),
    ...(key.startsWith('training.privacy.') && { training: { privacy: { noiseMultiplier: '1', clip: 1 } } }),
    ...(key.startsWith('protection.privacy.matrix') && { rounds: 1 }),
  };
  const path = key.split('.');
  const last = path.pop() ?? '';
  const parent = path.reduce<Record<string, unknown>>((object, part) => {
    object[part] ??= {};
    return object[part] as Record<string, unknown>;
  }, task);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return task;
}

function cohortFor(key: string, value: unknown): Record<string, unknown> {
  const isSampled = key === 'cohort.selection.rate' || value === 'poisson';
  const selection = isSampled ? { selection: { kind: 'poisson', rate: '0.5' } } : {};
  return { ...selection, target: 8, minimum: isSecure(key, value) ? 3 : 1 };
}

function protectionFor(key: string, value: unknown): Record<string, unknown> {
  if (key === 'cohort.selection.rate' || value === 'poisson')
    return { kind: 'clear', privacy: { placement: 'central', noiseMultiplier: '1', clip: 1, budgets: ['mnist'] } };
  if (key.startsWith('protection.privacy.matrix')) {
    const banded = key.endsWith('.band') || value === 'banded';
    // The parent of a key that is absent: each of them is required only beside the others.
    const matrix = { kind: 'tree', ...(banded && { kind: 'banded', band: 1 }), steps: banded ? 65_536 : 10, most: 1 };
    const privacy = { placement: 'central', noiseMultiplier: '1', clip: 1, budgets: ['mnist'] };
    return { kind: 'clear', privacy: key === 'protection.privacy.matrix' ? privacy : { ...privacy, matrix } };
  }
  if (key.startsWith('protection.privacy.'))
    return { kind: 'secagg', privacy: { noiseMultiplier: '1', clip: 1, budgets: ['mnist'] } };
  if (key === 'protection.aggregator' || value === 'shares')
    return { kind: 'shares', aggregator: 'cl_aaaaaaaaaaaaaaaaaaaaaaaaaa' };
  return isSecure(key, value) ? { kind: 'secagg' } : {};
}

function isSecure(key: string, value: unknown): boolean {
  return /^protection\.(?!kind)/.test(key) || value === 'secagg' || value === 'shares';
}

function scheduleFor(key: string, value: unknown): Record<string, unknown> {
  if (key === 'schedule.seconds' || value === 'every') return { kind: 'every', seconds: 5 };
  if (key === 'schedule.pattern' || value === 'cron') return { kind: 'cron', pattern: '0 * * * *' };
  return {};
}

function leaves(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === '' ? key : `${path}.${key}`));
}
