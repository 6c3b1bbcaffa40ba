/** `carapace plan` as a user runs it, its worked example, and its drawing in a real browser. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parsePlanQuestion, PLAN_WARNINGS, planPrivacy } from '@carapace/aggregation';
import { chromium } from 'playwright-core';
import { afterAll, expect, test } from 'vitest';
import type { VersionList } from '../src/answers.ts';
import { planPlot } from '../src/plan-plot.ts';
import { carapace } from './support/carapace.ts';
import { CoordinatorProcess } from './support/coordinator-process.ts';
import { oneHotModel } from './support/one-hot.ts';

const directory = await mkdtemp(join(tmpdir(), 'carapace-plan-'));
const document = readFileSync(new URL('../../docs/privacy/planning.md', import.meta.url), 'utf8');
afterAll(() => rm(directory, { recursive: true, force: true }));

test('the worked example of the page prints what the page says', async () => {
  const [, command = '', text = ''] =
    /plan:start -->\n```sh\nnpx carapace (.*)\n```\n\n```text\n([^]*?)```/.exec(document) ?? [];
  const svg = join(directory, 'plan.svg');
  const ran = await carapace(command.replace('plan.svg', svg).split(' '));
  expect(ran).toEqual({ code: 0, stdout: text.trimEnd(), stderr: '' });
  expect(readFileSync(svg, 'utf8')).toContain('Epsilon by rounds');
});

test('the page lists every warning as the planner means it', () => {
  const rows = [...document.matchAll(/^\| `(PLAN_[A-Z_]+)` \| (.*) \|$/gm)].map(([, code, says]) => [code, says]);
  expect(Object.fromEntries(rows)).toEqual(PLAN_WARNINGS);
});

test('a task document with overriding options, as JSON', async () => {
  const file = join(directory, 'task.yaml');
  writeFileSync(
    file,
    'name: digits-1\nmodel: { name: digits }\ncohort: { target: 40, minimum: 30 }\nrounds: 25\n' +
      'protection: { kind: secagg, privacy: { noiseMultiplier: "2.5", clip: 0.5, budgets: [phones] } }\n',
  );
  const ran = await carapace([
    'plan',
    file,
    '--model',
    'logistic',
    '--rounds',
    '10',
    '--epsilon',
    '3',
    '--prices',
    'noise=9',
    '--json',
  ]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  const asked = {
    cohort: 40,
    minimum: 30,
    rounds: 10,
    noiseMultiplier: '2.5',
    clip: 0.5,
    parameters: 7_850,
    epsilon: 3,
  };
  const expected = planPrivacy(parsePlanQuestion({ ...asked, prices: { noise: 9 } }));
  expect(JSON.parse(ran.stdout)).toEqual(JSON.parse(JSON.stringify(expected)));
  expect(expected.run!.changes[0]!.what).not.toBe('noise');
});

test('a coordinator that is asked counts its models and its budgets', { timeout: 120_000 }, async () => {
  const data = join(directory, 'coordinator');
  const coordinator = await CoordinatorProcess.start(data, { env: { CARAPACE_LOG: 'silent' } });
  try {
    await coordinator.calls.upload('/v1/models/one-hot/versions', 'application/x-safetensors', oneHotModel(4));
    const asked = '--cohort 100 --rounds 5 --noise-multiplier 2 --protection clear'.split(' ');
    const at = ['--url', coordinator.url, '--data', data, '--model', 'one-hot'];
    const parameters = await parametersOf(coordinator);
    const here = ['plan', ...asked, '--parameters', String(parameters)];
    const [there, local] = [await carapace(['plan', ...asked, ...at]), await carapace(here)];
    // Its noise is the coordinator's: an epsilon without end goes through JSON as well.
    expect(local.stdout).toContain('nothing is promised');
    expect(there).toEqual(local);

    const cost = JSON.parse((await carapace([...here, '--json'])).stdout) as { run: { epsilon: { model: number } } };
    const terms = { epsilon: cost.run.epsilon.model * 0.99, delta: 1e-6 };
    await coordinator.calls.put('/v1/budgets/phones', terms);
    const budgeted = await carapace(['plan', ...asked, ...at, '--budgets', 'phones']);
    expect(budgeted.stdout).toMatch(/^budget +phones: 4 of 5 rounds fit$/m);
    expect(budgeted.stdout).toContain('! PLAN_BUDGET_STOPS: the budget phones holds 4 of 5 rounds');
    const refused = await carapace(['plan', '--cohort', '5', ...at]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/^carapace: name rounds.*\(PLAN_INVALID\)$/m);
  } finally {
    await coordinator.kill();
  }
});

async function parametersOf({ calls }: CoordinatorProcess): Promise<number> {
  const { versions } = await calls.get<VersionList>('/v1/models/one-hot/versions');
  return versions[0]!.parameters;
}

test.each([
  [['plan', '--cohort', 'many'], 2, /--cohort is "many".*USAGE_INVALID/],
  [['plan', '--cohort', '100'], 2, /name rounds.*PLAN_INVALID/],
  [['plan', '--cohort', '100', '--rounds', '5', '--epsilon', '8', '--view', 'all'], 2, /view is "all".*PLAN_INVALID/],
  [['plan', 'nowhere.yaml'], 2, /FILE_UNREADABLE/],
  [['plan', '--cohort', '100', '--rounds', '5', '--budgets', 'a'], 2, /--budgets goes with --url.*USAGE_INVALID/],
  [
    ['plan', '--cohort', '2', '--rounds', '5', '--epsilon', '8', '--svg', join(directory, 'no.svg')],
    1,
    /no curve to draw/,
  ],
])('%j is refused', async (args, code, says) => {
  const ran = await carapace(args);
  expect(ran.code).toBe(code);
  expect(ran.stderr).toMatch(says);
});

const PLANS = {
  missed: { population: 10_000, cohort: 100, rounds: 50, noiseMultiplier: '1', epsilon: 8 },
  'far apart': {
    population: 1_000_000,
    cohort: 100,
    rounds: 300,
    noiseMultiplier: '1',
    epsilon: 2,
    participations: 1,
  },
  'one round, no target': { cohort: 100, rounds: 1, noiseMultiplier: '1' },
  'central, by secret coins': {
    population: 10_000,
    cohort: 100,
    rounds: 100,
    noiseMultiplier: '1',
    epsilon: 8,
    protection: 'clear',
    selection: 'poisson',
  },
  'nearly the same': { cohort: 100, rounds: 1000, noiseMultiplier: '20', epsilon: 10, participations: 990 },
};
const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));

test('drawings are whole in a browser, light and dark: all words within, and none over another', async ({ skip }) => {
  if (browser === undefined) return skip('no chromium on this machine: apt-get install chromium');
  const launched = await chromium.launch({ executablePath: browser, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await launched.newPage({ colorScheme });
      for (const [name, asked] of Object.entries(PLANS)) {
        const { question, run } = planPrivacy(parsePlanQuestion({ parameters: 1000, ...asked }));
        const file = join(directory, `${name}.svg`);
        writeFileSync(file, planPlot(question, run!));
        await page.goto(pathToFileURL(file).href);
        const { words, ground, ink, outside } = await page.evaluate(LOOK);
        expect({ name, outside }).toEqual({ name, outside: [] });
        expect(overlaps(words), name).toEqual([]);
        expect(ground).toBe(colorScheme === 'light' ? 'rgb(255, 255, 255)' : 'rgb(18, 23, 30)');
        expect(ink).not.toBe(ground);
      }
      await page.close();
    }
  } finally {
    await launched.close();
  }
});

interface Word {
  readonly said: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Runs in the page. A broken file has no drawing, but an error that the browser tells instead. */
const LOOK = (): { words: Word[]; outside: string[]; ground: string; ink: string } => {
  interface Drawn {
    readonly textContent: string;
    getBBox(): Omit<Word, 'said'>;
  }
  const page = globalThis as unknown as {
    document: { querySelectorAll(selector: string): Iterable<Drawn>; querySelector(selector: string): Drawn | null };
    getComputedStyle(of: Drawn | null): { readonly fill: string };
  };
  const words = [...page.document.querySelectorAll('text')].map((element) => {
    const { x, y, width, height } = element.getBBox();
    return { said: element.textContent, x, y, width, height };
  });
  const outside = words.filter(({ x, y, width, height }) => x < 0 || y < 0 || x + width > 760 || y + height > 460);
  const colour = (selector: string): string => page.getComputedStyle(page.document.querySelector(selector)).fill;
  return { words, outside: outside.map(({ said }) => said), ground: colour('.ground'), ink: colour('.title') };
};

function overlaps(words: readonly Word[]): [string, string][] {
  const meet = (a: Word, b: Word): boolean =>
    a.x < b.x + b.width && b.x < a.x + a.width && a.y + 3 < b.y + b.height - 3 && b.y + 3 < a.y + a.height - 3;
  return words.flatMap((a, i) =>
    words.slice(i + 1).flatMap((b): [string, string][] => (meet(a, b) ? [[a.said, b.said]] : [])),
  );
}
