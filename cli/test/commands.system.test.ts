/** Every verb as a user runs it: what it prints, what it answers to programs, and its exit code. */
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultPolicies, parseSafetensors } from '@carapace/aggregation';
import { exportOnnx } from '@carapace/client-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { carapace, startCarapace } from './support/carapace.ts';
import { CoordinatorProcess, freePort } from './support/coordinator-process.ts';
import { until, within } from './support/within.ts';

const directory = await mkdtemp(join(tmpdir(), 'carapace-cli-'));
const data = join(directory, 'coordinator');
let coordinator: CoordinatorProcess;
beforeAll(async () => {
  coordinator = await CoordinatorProcess.start(data);
});
afterAll(async () => {
  await coordinator.stop();
  await rm(directory, { recursive: true, force: true });
});

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await carapace([...args, '--data', data, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function text(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await carapace([...args, '--data', data]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const TASK = 'name: digits\nmodel: { name: digits }\ncohort: { target: 2, reportSeconds: 60 }\nrounds: 1\n';

describe('a federation by hand, verb by verb', () => {
  test('model upload, list, show, download', async () => {
    expect(await json('model', 'upload', 'digits', 'logistic')).toMatchObject({ model: 'digits', version: 1 });
    expect(await text('model', 'list')).toMatch(/digits +1 +latest=1/);
    expect(await text('model', 'list', 'digits')).toMatch(/1 +uploaded/);
    expect(await text('model', 'show', 'digits')).toMatch(/parameters +7,850/);
    const out = join(directory, 'download');
    await text('model', 'download', 'digits', '--format', 'safetensors', '--out', out);
    const { tensors, weights } = parseSafetensors(readFileSync(join(out, 'model.safetensors')));
    expect(tensors.map(({ shape }) => shape)).toEqual([[784, 10], [10]]);
    expect(await json('model', 'download', 'digits', '--version', '1', '--out', out)).toMatchObject({ version: 1 });
    await text('model', 'download', 'digits', '--format', 'onnx', '--out', out);
    const { modelTopology } = JSON.parse(readFileSync(join(out, 'model.json'), 'utf8')) as { modelTopology: object };
    const topology = JSON.stringify(modelTopology);
    const exported = exportOnnx({ topology, tensors: defaultPolicies(tensors), weights });
    expect(readFileSync(join(out, 'model.onnx')).equals(exported)).toBe(true);
    // What was downloaded can be uploaded again: the same layout, the next version.
    expect(await json('model', 'upload', 'digits', join(out, 'model.json'))).toMatchObject({ version: 2 });
    const named = join(out, 'model.safetensors');
    const again = await json('model', 'upload', 'named', join(out, 'model.json'), '--weights', named);
    expect(again).toMatchObject({
      version: 1,
      digests: (await json('model', 'show', 'digits', '--version', '1'))['digests'],
    });
  });

  test('task create, list, show, pause, resume', async () => {
    expect(await json('task', 'create', file('task.yaml', TASK))).toMatchObject({ status: 'active' });
    expect(await text('task', 'list')).toMatch(/digits +active +digits +1-2 +1/);
    expect(await text('task', 'show', 'digits')).toMatch(/cohort +2 wanted, 1 needed/);
    expect(await json('task', 'pause', 'digits')).toMatchObject({ status: 'paused' });
    expect(await text('task', 'resume', 'digits')).toBe('task digits is active');
  });

  test('token create, client --join, round list and show, client list and revoke', async () => {
    const runs = [];
    for (const number of [1, 2]) {
      const { joinLink } = await json('token', 'create', '--site', `site-${number}`);
      const csv = file(`data-${number}.csv`, sampleCsv(40));
      const state = join(directory, `state-${number}`);
      const args = ['client', '--data', `${csv}?label=digit&scale=255`, '--state', state, '--name', `host-${number}`];
      runs.push(startCarapace([...args, '--json'], { CARAPACE_JOIN: String(joinLink) }));
    }
    try {
      await until(90_000, 'the round completes', async () => {
        const { tasks } = (await json('task', 'list')) as { tasks: { status: string }[] };
        return tasks[0]?.status === 'completed';
      });
    } finally {
      for (const { child } of runs) child.kill('SIGTERM');
    }
    for (const { ended } of runs)
      expect(await within(20_000, 'a client ends', ended)).toMatchObject({ code: 0, stderr: '' });
    expect(await text('round', 'list', 'digits')).toMatch(/digits\.1 +completed +2 +2/);
    const page = await text('round', 'show', 'digits.1');
    expect(page).toMatch(/PARTICIPANTS[^]*reported[^]*reported[^]*TIME LINE/);
    expect(await text('token', 'list')).toMatch(/site-1 +used by cl_/);
    const { clients } = (await json('client', 'list')) as { clients: { id: string; name: string }[] };
    expect(clients.map(({ name }) => name).sort()).toEqual(['host-1', 'host-2']);
    const id = clients[0]!.id;
    expect(await text('client', 'revoke', id, '--reason', 'retired')).toContain('is revoked');
    expect(await text('client', 'list')).toContain('revoked: retired');
  });

  test('task stop', async () => {
    await json('task', 'create', file('second.yaml', TASK.replace('name: digits\n', 'name: digits-2\n')));
    expect(await text('task', 'stop', 'digits-2')).toBe('task digits-2 is stopped');
  });
});

describe('what goes wrong is said in a line, with a code and an exit code', () => {
  const cases: [what: string, args: string[], code: number, says: RegExp][] = [
    ['an unknown verb', ['frobnicate'], 2, /unknown command/],
    ['an unknown option', ['task', 'list', '--frobnicate'], 2, /unknown option/],
    [
      'a missing file',
      ['task', 'create', join(directory, 'none.yaml')],
      2,
      /none\.yaml cannot be read.*FILE_UNREADABLE/,
    ],
    [
      'a misspelt key',
      ['task', 'create', file('bad.yaml', `${TASK}strategi: {}\n`)],
      2,
      /strategi is not a key.*TASK_INVALID/,
    ],
    ['a value out of range', ['up', '--rounds', '0'], 2, /--rounds is "0"; allowed is.*USAGE_INVALID/],
    ['an unknown task', ['task', 'show', 'nobody'], 1, /TASK_NOT_FOUND/],
    ['a client without data', ['client', '--join', 'x'], 2, /name the data.*USAGE_INVALID/],
    [
      'a crooked join link',
      ['client', '--join', 'http://x', '--data', 'mnist', '--state', join(directory, 's')],
      2,
      /JOIN_LINK_INVALID/,
    ],
    ['crooked data', ['client', '--join', 'x', '--data', 'mnist?part=9&parts=3'], 2, /parts count from 0/],
  ];
  test.each(cases)('%s', async (_what, args, code, says) => {
    const ran = await carapace(args[0] === 'task' ? [...args, '--data', data] : args);
    expect(ran.stderr).toMatch(says);
    expect(ran.code).toBe(code);
    expect(ran.stderr).not.toMatch(/ at .*\.ts:/);
  });

  test('no coordinator: 3', async () => {
    const ran = await carapace(['task', 'list', '--url', `http://127.0.0.1:${await freePort()}`]);
    expect(ran).toMatchObject({ code: 3 });
    expect(ran.stderr).toMatch(/COORDINATOR_UNREACHABLE/);
  });

  test('no key, and a wrong one: 4', async () => {
    const empty = join(directory, 'empty');
    const none = await carapace(['task', 'list', '--url', coordinator.url, '--data', empty]);
    expect(none).toMatchObject({ code: 4 });
    expect(none.stderr).toMatch(/KEY_MISSING/);
    const wrong = await carapace(['task', 'list', '--url', coordinator.url, '--json'], { CARAPACE_KEY: 'nonsense' });
    expect(wrong).toMatchObject({ code: 4, stdout: '' });
    expect(JSON.parse(wrong.stderr)).toMatchObject({ error: { code: 'API_KEY_INVALID' } });
  });

  test('a second coordinator on the same directory', async () => {
    const ran = await carapace(['coordinator', '--data', data, '--port', '0']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/STORE_LOCKED/);
  });

  test('a port that is taken', async () => {
    const port = new URL(coordinator.url).port;
    const ran = await carapace(['coordinator', '--data', join(directory, 'other'), '--port', port]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(new RegExp(`port ${port} of 127.0.0.1 is taken`));
  });
});

describe('help and doctor', () => {
  const verbs = ['', 'up', 'coordinator', 'client', 'client list', 'client revoke', 'task', 'task create', 'task list'];
  const more = ['task show', 'task pause', 'task resume', 'task stop', 'round list', 'round show', 'model list'];
  const rest = ['model show', 'model download', 'model upload', 'token create', 'token list', 'doctor'];
  test.each([...verbs, ...more, ...rest])('carapace %s --help', async (verb) => {
    const ran = await carapace([...verb.split(' ').filter((word) => word !== ''), '--help']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toContain(`Usage: carapace${verb === '' ? '' : ` ${verb}`}`);
    if (!['', 'task'].includes(verb)) expect(ran.stdout).toContain('--json');
  });

  test('doctor finds the coordinator, and says which engines are here and how fast they train', async () => {
    const report = await json('doctor');
    expect(report).toMatchObject({ ok: true });
    const checks = report['checks'] as { what: string; ok: boolean; detail: string; stepsPerSecond?: number }[];
    const engines = checks.filter(({ what }) => what.startsWith('engine'));
    for (const { stepsPerSecond, detail } of engines)
      if (stepsPerSecond === null) expect(detail).toMatch(/^not here: /);
      else expect(stepsPerSecond).toBeGreaterThan(0);
    expect(engines.filter(({ detail }) => detail.includes('; chosen for models that compile'))).toHaveLength(1);
    expect(checks.map(({ what }) => what.replace(/tfjs-.*/, 'tfjs'))).toEqual([
      'Node',
      'machine',
      'engine onnx',
      'engine wasm',
      'engine tfjs',
      'MNIST',
      'data directory',
      'coordinator',
    ]);
  });

  test('doctor fails plainly when the coordinator is gone', async () => {
    const ran = await carapace(['doctor', '--data', data, '--url', `http://127.0.0.1:${await freePort()}`]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/FAIL +coordinator .*does not answer/);
  });
});

/** Digits 0 to 9 that differ in one bright pixel. */
function sampleCsv(rows: number): string {
  const head = ['digit', ...Array.from({ length: 784 }, (_value, pixel) => `p${pixel}`)].join(',');
  const lines = Array.from({ length: rows }, (_value, row) => {
    const pixels = Array.from({ length: 784 }, (_pixel, pixel) => (pixel === row % 10 ? 255 : 0));
    return [row % 10, ...pixels].join(',');
  });
  return [head, ...lines].join('\n');
}
