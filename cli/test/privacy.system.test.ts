/** `carapace privacy` as a user runs it. */
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { carapace, objects } from './support/carapace.ts';

const directory = await mkdtemp(join(tmpdir(), 'carapace-privacy-'));
afterAll(() => rm(directory, { recursive: true, force: true }));

const PLAN = ['--noise-multiplier', '1', '--sampling', '0.01', '--steps', '1000'];

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await carapace(['privacy', ...args, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
}

function file(name: string, content: unknown): string {
  const path = join(directory, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

describe('epsilon, delta, calibrate', () => {
  test('epsilon by each engine, from the certified one down to the loosest', async () => {
    const exact = (await json('epsilon', ...PLAN, '--delta', '1e-5', '--engine', 'exact'))['epsilon'] as number;
    expect(exact).toBeCloseTo(1.82823, 4);
    const certified = await json('epsilon', ...PLAN, '--delta', '1e-5');
    expect(certified).toMatchObject({
      engine: 'certified',
      relation: 'add-or-remove',
      direction: 'remove',
      engineVersion: 2,
    });
    expect((certified['epsilon'] as number) / exact).toBeGreaterThanOrEqual(1);
    expect((certified['epsilon'] as number) / exact).toBeLessThan(1.001);
    const rdp = await json('epsilon', ...PLAN, '--delta', '1e-5', '--engine', 'rdp');
    expect(rdp['epsilon']).toBeGreaterThan(exact);
  });

  test('in words', async () => {
    const { code, stdout } = await carapace(['privacy', 'epsilon', ...PLAN, '--delta', '1e-5']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^epsilon {4}1\.828/m);
    expect(stdout).toMatch(/remove is the worse/);
  });

  test('delta, and a fixed cohort under replacement', async () => {
    const { delta } = await json('delta', ...PLAN, '--epsilon', '1');
    expect(delta as number).toBeCloseTo(0.0026124, 5);
    const fixed = [
      '--noise-multiplier',
      '2',
      '--sampling',
      '0.0002919904',
      '--population',
      '342477',
      '--steps',
      '1600',
    ];
    const answer = await json(
      'epsilon',
      ...fixed,
      '--delta',
      '1e-6',
      '--sampling-scheme',
      'fixed',
      '--relation',
      'replace-one',
    );
    expect(answer['epsilon'] as number).toBeCloseTo(0.07284, 3);
  });

  test('calibrate noise, steps and sampling', async () => {
    const target = ['--epsilon', '2', '--delta', '1e-6'];
    const noise = await json('calibrate', '--sampling', '0.005', '--steps', '2000', ...target);
    expect(noise['noise'] as number).toBeCloseTo(0.864, 3);
    expect(noise['epsilon']).toBeLessThanOrEqual(2);
    const steps = await json(
      'calibrate',
      '--solve',
      'steps',
      '--sampling',
      '0.005',
      '--noise-multiplier',
      '1',
      ...target,
    );
    expect(steps['steps']).toBeGreaterThan(4080);
    expect(steps['steps']).toBeLessThanOrEqual(4112);
    const sampling = await json(
      'calibrate',
      '--solve',
      'sampling',
      '--noise-multiplier',
      '1',
      '--steps',
      '1000',
      ...target,
    );
    expect(sampling['sampling']).toBeGreaterThan(0.005);
    const integer = await json('calibrate', '--mechanism', 'discrete-gaussian', '--steps', '10', ...target);
    expect(integer['noise'] as number).toBeGreaterThan(5);
  });

  test('events from a file, with decimal strings, and what is printed reads back', async () => {
    const events = [
      {
        event: { kind: 'poisson', probability: '0.005', event: { kind: 'gaussian', noiseMultiplier: '1' } },
        count: '2000',
      },
      { event: { kind: 'gaussian', noiseMultiplier: '50' }, count: '100' },
    ];
    const answer = await json('epsilon', '--events', file('events.json', events), '--delta', '1e-6');
    expect(answer['epsilon'] as number).toBeCloseTo(1.651, 2);
    const again = await json('epsilon', '--events', file('again.json', answer['events']), '--delta', '1e-6');
    expect(again).toEqual(answer);
  });
});

describe('refusals', () => {
  test.each([
    [['epsilon', '--noise-multiplier', '-1', '--delta', '1e-5'], 'PRIVACY_EVENT_INVALID'],
    [['epsilon', '--noise-multiplier', 'NaN', '--delta', '1e-5'], 'USAGE_INVALID'],
    [['epsilon', '--noise-multiplier', '1', '--delta', '0'], 'PRIVACY_QUERY_INVALID'],
    [['epsilon', '--delta', '1e-5'], 'USAGE_INVALID'],
    [['epsilon', ...PLAN, '--delta', '1e-5', '--engine', 'best'], 'USAGE_INVALID'],
    [['epsilon', ...PLAN, '--delta', '1e-5', '--sampling-scheme', 'none'], 'USAGE_INVALID'],
    [['epsilon', ...PLAN, '--delta', '1e-5', '--sampling-scheme', 'fixed'], 'PRIVACY_EVENT_UNSUPPORTED'],
    [['epsilon', '--events', 'missing.json', '--delta', '1e-5'], 'FILE_UNREADABLE'],
  ])('%j', async (args, code) => {
    const { code: exit, stderr } = await carapace(['privacy', ...args, '--json']);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code } });
    expect(exit).toBe(code === 'PRIVACY_EVENT_UNSUPPORTED' ? 1 : 2);
  });

  test('an unknown flag', async () => {
    const { code, stderr } = await carapace(['privacy', 'epsilon', '--noise', '1', '--delta', '1e-5']);
    expect(code).toBe(2);
    expect(stderr).toContain("unknown option '--noise'");
  });

  test('help names every option', async () => {
    const { code, stdout } = await carapace(['privacy', 'epsilon', '--help']);
    expect(code).toBe(0);
    for (const option of ['--mechanism', '--sampling-scheme', '--relation', '--engine', '--events', '--json'])
      expect(stdout).toContain(option);
  });
});

describe('check', () => {
  const entry = {
    id: 'one',
    category: 'gaussian',
    accountant: 'exact',
    quantity: 'epsilon',
    params: {
      mechanism: 'gaussian',
      noise_multiplier: 1,
      sampling_probability: 1,
      steps: 1,
      delta: 1e-5,
      neighbouring: 'add_remove',
    },
    expected: 4.377178095681,
    tolerance: { rel: 1e-9, abs: 1e-12 },
    bound: 'exact',
  };

  test('one object an entry, and the exit code tells whether one was wrong', async () => {
    const right = file('right.json', { entries: [entry, { ...entry, id: 'two', accountant: 'unheard of' }] });
    const { code, stdout } = await carapace(['privacy', 'check', right, '--json']);
    expect(code).toBe(0);
    expect(objects(stdout.split('\n'))).toEqual([
      { id: 'one', expected: 4.377178095681, got: expect.closeTo(4.377178095681, 9), ok: true, unsupported: null },
      { id: 'two', expected: 4.377178095681, got: null, ok: false, unsupported: expect.stringContaining('unheard of') },
    ]);
    const wrong = await carapace(['privacy', 'check', file('wrong.json', { entries: [{ ...entry, expected: 4 }] })]);
    expect(wrong.code).toBe(1);
    expect(wrong.stdout).toContain('0 of 1 agree, 1 do not, 0 are not supported');
  });

  test('what is not such a file', async () => {
    const { code, stderr } = await carapace(['privacy', 'check', file('not.json', { x: 1 }), '--json']);
    expect(code).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'PRIVACY_QUERY_INVALID' } });
  });
});
