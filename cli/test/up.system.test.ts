/** The newcomer's two commands, and what they leave to load: in Node and in a real browser. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseSafetensors } from '@carapace/aggregation';
import { mnistExamples } from '@carapace/simulations';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { objects, startCarapace } from './support/carapace.ts';
import type { Command } from './support/carapace.ts';
import { freePort } from './support/coordinator-process.ts';
import { until, within } from './support/within.ts';

const require = createRequire(import.meta.url);
const directory = await mkdtemp(join(tmpdir(), 'carapace-up-'));
afterAll(() => rm(directory, { recursive: true, force: true }));

test(
  '--rounds 5 --clients 8 --exit --json: learns MNIST to 0.93 and ends by itself',
  { timeout: 400_000 },
  async () => {
    const port = await freePort();
    const args = ['up', '--rounds', '5', '--clients', '8', '--exit', '--json'];
    const command = startCarapace([...args, '--data', join(directory, 'five'), '--port', String(port)]);
    const { code, stderr } = await within(300_000, 'the run ends', command.ended);
    const told = objects(command.lines);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(told[0]).toMatchObject({ url: `http://127.0.0.1:${port}` });
    const last = told.at(-1);
    expect(last).toMatchObject({
      model: 'mnist-2nn',
      version: 6,
      rounds: 5,
      clients: 8,
      protection: 'secagg',
      url: `http://127.0.0.1:${port}`,
    });
    expect(last['testAccuracy']).toBeGreaterThanOrEqual(0.93);
    expect(Object.keys(last)).toEqual(expect.arrayContaining(['task', 'seconds', 'bytesUp', 'bytesDown']));
    // Masked, and yet smaller than the plain float32 updates: 16 bits of a value and room for the sum of eight.
    expect(last['bytesUp']).toBeGreaterThan(5 * 8 * 2 * 199_210);
    expect(last['bytesUp']).toBeLessThan(5 * 8 * 3 * 199_210);
    console.log(`5 rounds, 8 clients: test accuracy ${String(last['testAccuracy'])} in ${String(last['seconds'])} s`);
  },
);

describe('a run that goes on serving', () => {
  let up: Command;
  let url = '';
  let trained: Record<string, unknown> = {};

  beforeAll(async () => {
    const args = [
      'up',
      '--rounds',
      '2',
      '--clients',
      '3',
      '--json',
      '--data',
      join(directory, 'serving'),
      '--port',
      '0',
    ];
    up = startCarapace(args);
    const event = (kind: string) => objects(up.lines).find((object) => object['event'] === kind);
    await until(200_000, 'two rounds', () => up.child.exitCode !== null || event('trained-all') !== undefined);
    trained = event('trained-all') ?? {};
    url = String(trained['url']);
  }, 240_000);
  afterAll(() => void up.child.kill('SIGKILL'));

  test('lists its models', async () => {
    const answer = (await (await fetch(`${url}/v1/models`)).json()) as { models: { name: string }[] };
    expect(answer.models.map(({ name }) => name)).toEqual(['mnist-2nn']);
  });

  test('tf.loadLayersModel in Node: versions and channel; the accuracy is the one that was told', async () => {
    const tf = require('@tensorflow/tfjs') as typeof import('@tensorflow/tfjs');
    const { count, features, labels } = await mnistExamples('test');
    const latest = await tf.loadLayersModel(`${url}/v1/models/mnist-2nn/channels/latest/model.json`);
    const third = await tf.loadLayersModel(`${url}/v1/models/mnist-2nn/versions/3/model.json`);
    const predicted = tf.tidy(() =>
      (latest.predict(tf.tensor2d(features, [count, 784])) as import('@tensorflow/tfjs').Tensor).argMax(1).dataSync(),
    );
    const right = labels.filter((label, index) => predicted[index] === label).length;
    expect(right / count).toBeCloseTo(Number(trained['testAccuracy']), 3);
    expect(third.getWeights().map((tensor) => Array.from(tensor.dataSync().slice(0, 5)))).toEqual(
      latest.getWeights().map((tensor) => Array.from(tensor.dataSync().slice(0, 5))),
    );
    await expect(tf.loadLayersModel(`${url}/v1/models/mnist-2nn/versions/99/model.json`)).rejects.toThrow();
  });

  test('safetensors: the same weights', async () => {
    const base = `${url}/v1/models/mnist-2nn/versions/3`;
    const file = parseSafetensors(new Uint8Array(await (await fetch(`${base}/model.safetensors`)).arrayBuffer()));
    const weights = new Float32Array(await (await fetch(`${base}/weights.bin`)).arrayBuffer());
    expect(file.weights).toEqual(weights);
    expect(file.tensors.map(({ shape }) => shape)).toEqual([[784, 200], [200], [200, 200], [200], [200, 10], [10]]);
  });

  const browser = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
  test('tf.loadLayersModel in a browser, from another origin', async ({ skip }) => {
    if (browser === undefined) return skip('no chromium on this machine: apt-get install chromium');
    const { features, labels } = await mnistExamples(
      'test',
      Uint32Array.from({ length: 50 }, (_value, index) => index),
    );
    const page = await openPage(browser);
    try {
      const predicted = await page.predict(`${url}/v1/models/mnist-2nn/channels/latest/model.json`, [...features]);
      const right = [...labels].filter((label, index) => predicted[index] === label).length;
      // The browser's own backend rounds otherwise: what matters is that the model is the one that was trained.
      expect(right / 50).toBeGreaterThan(0.8);
      expect(predicted).toHaveLength(50);
    } finally {
      await page.close();
    }
  });

  test('Ctrl-C ends everything, with code 0 and the summary last', async () => {
    const group = clientPids(up);
    expect(group).toHaveLength(3);
    up.child.kill('SIGINT');
    const started = performance.now();
    const { code } = await within(20_000, 'it ends', up.ended);
    console.log(`Ctrl-C to exit: ${Math.round(performance.now() - started)} ms`);
    expect(code).toBe(0);
    expect(objects(up.lines).at(-1)).toMatchObject({ event: 'finished', rounds: 2, version: 3 });
    expect(group.filter(isAlive)).toEqual([]);
    await expect(fetch(`${url}/livez`)).rejects.toThrow();
  });
});

function clientPids({ child }: Command): number[] {
  return execFileSync('ps', ['-o', 'pid=', '--ppid', String(child.pid)], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

interface Page {
  predict(model: string, features: readonly number[]): Promise<number[]>;
  close(): Promise<void>;
}

/** A page of another origin with TensorFlow.js as its users include it. */
async function openPage(executablePath: string): Promise<Page> {
  const script = readFileSync(join(dirname(require.resolve('@tensorflow/tfjs/package.json')), 'dist', 'tf.min.js'));
  const site = createServer((request, response) => {
    if (request.url === '/tf.min.js') return response.setHeader('content-type', 'text/javascript').end(script);
    return response.setHeader('content-type', 'text/html').end('<!doctype html><script src="/tf.min.js"></script>');
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
  const { port } = site.address() as AddressInfo;
  const flags = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
  ];
  const browser = await chromium.launch({
    executablePath,
    args: [...flags, '--disable-component-update', '--disable-sync'],
  });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/`);
  return {
    predict: (model, features) => page.evaluate(PREDICT, { model, features: [...features] }),
    close: async () => {
      await browser.close();
      await new Promise((resolve) => site.close(resolve));
    },
  };
}

/** Runs in the page, where `tf` is global. */
const PREDICT = async ({ model, features }: { model: string; features: number[] }): Promise<number[]> => {
  const { tf } = globalThis as unknown as { tf: typeof import('@tensorflow/tfjs') };
  const loaded = await tf.loadLayersModel(model);
  const output = loaded.predict(
    tf.tensor2d(features, [features.length / 784, 784]),
  ) as import('@tensorflow/tfjs').Tensor;
  return Array.from(await output.argMax(1).data());
};
