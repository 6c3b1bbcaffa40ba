/** What a host needs to run a coordinator or a client, tried for real. */
import { accessSync, constants, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { buildShippedModel, openTrainingEngine } from '@carapace/client-sdk';
import { systemRandom } from '@carapace/crypto';
import { mnistLabels } from '@carapace/simulations';
import { formatBytes } from './format.ts';

export interface Check {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
}

const DEADLINE_MS = 5_000;
/** The signatures of client calls allow a minute. */
const SKEW_LIMIT_MS = 30_000;

export async function examine(data: string, address: string | undefined): Promise<Check[]> {
  return [
    node(),
    machine(),
    await attempt('training', trainingStep),
    await attempt('MNIST', mnist),
    await attempt('data directory', () => writable(data)),
    ...(address === undefined ? [] : [await attempt('coordinator', () => coordinator(address))]),
  ];
}

async function attempt(what: string, check: () => Promise<string>): Promise<Check> {
  try {
    return { what, ok: true, detail: await check() };
  } catch (error) {
    return { what, ok: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

function node(): Check {
  return {
    what: 'Node',
    ok: Number(process.versions.node.split('.')[0]) >= 24,
    detail: `${process.version}, ${process.execPath}`,
  };
}

function machine(): Check {
  return {
    what: 'machine',
    ok: true,
    detail: `${availableParallelism()} cores, ${formatBytes(totalmem())} of memory, ${process.platform} ${process.arch}`,
  };
}

async function trainingStep(): Promise<string> {
  let chosen = '';
  const engine = await openTrainingEngine((message) => (chosen = message));
  const loss = 'sparse-categorical-crossentropy' as const;
  const model = await buildShippedModel('mnist-2nn', systemRandom);
  const trainer = await engine.load({ ...model, loss });
  trainer.setWeights(model.weights);
  const count = 320;
  const examples = { count, features: new Float32Array(count * 784).fill(0.5), labels: new Int32Array(count) };
  const training = {
    epochs: 1,
    batchSize: 32,
    optimizer: { kind: 'sgd', learningRate: 0.01, momentum: 0 },
    loss,
    maxExamples: count,
  } as const;
  const order = Uint32Array.from({ length: count }, (_value, index) => index);
  const { signal } = new AbortController();
  await trainer.trainEpoch(examples, order, training, signal);
  const started = performance.now();
  const { steps } = await trainer.trainEpoch(examples, order, training, signal);
  const stepMs = (performance.now() - started) / steps;
  trainer.dispose();
  return `${stepMs.toFixed(2)} ms for a step of 32 images on the 784-200-200-10 network; ${chosen}`;
}

async function mnist(): Promise<string> {
  const labels = await mnistLabels('train');
  return `${labels.length} training images, checksums hold`;
}

function writable(directory: string): Promise<string> {
  const existing = nearest(resolve(directory));
  accessSync(existing, constants.W_OK);
  const probe = join(existing, `.carapace-doctor-${process.pid}`);
  mkdirSync(probe);
  writeFileSync(join(probe, 'probe'), 'probe');
  rmSync(probe, { recursive: true });
  return Promise.resolve(
    `${directory} can be written${existing === resolve(directory) ? '' : ' (it does not exist yet)'}`,
  );
}

function nearest(path: string): string {
  return existsSync(path) ? path : nearest(dirname(path));
}

async function coordinator(url: string): Promise<string> {
  const sent = Date.now();
  const response = await fetch(`${url.replace(/\/+$/, '')}/v1/coordinator`, {
    signal: AbortSignal.timeout(DEADLINE_MS),
  }).catch((cause: unknown) => {
    throw new Error(`${url} does not answer; start it with \`carapace coordinator\`, or name another with --url`, {
      cause,
    });
  });
  const { version, time } = (await response.json()) as { version: string; time: number };
  const skew = Math.abs(time - (sent + Date.now()) / 2);
  if (skew > SKEW_LIMIT_MS)
    throw new Error(
      `the clocks of this host and of ${url} differ by ${Math.round(skew / 1000)} s: set them by NTP, or signatures are refused`,
    );
  return `${url} answers, version ${version}, clocks within ${Math.round(skew)} ms`;
}
