/** What a host needs to run a coordinator or a client, tried for real. */
import { accessSync, constants, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { surveyEngines } from '@carapace/client-sdk';
import { systemRandom } from '@carapace/crypto';
import { mnistLabels } from '@carapace/simulations';
import { formatBytes, formatCount } from './format.ts';

export interface Check {
  readonly what: string;
  readonly ok: boolean;
  readonly detail: string;
  /** Of an engine: steps of 32 images on the 784-200-200-10 network; null when it is not there. */
  readonly stepsPerSecond?: number | null;
}

const DEADLINE_MS = 5_000;
/** The signatures of client calls allow a minute. */
const SKEW_LIMIT_MS = 30_000;

export async function examine(data: string, address: string | undefined): Promise<Check[]> {
  return [
    node(),
    machine(),
    ...(await engines().catch((error: unknown) => [failed('engines', error)])),
    await attempt('MNIST', mnist),
    await attempt('data directory', () => writable(data)),
    ...(address === undefined ? [] : [await attempt('coordinator', () => coordinator(address))]),
  ];
}

async function attempt(what: string, check: () => Promise<string>): Promise<Check> {
  try {
    return { what, ok: true, detail: await check() };
  } catch (error) {
    return failed(what, error);
  }
}

function failed(what: string, error: unknown): Check {
  return { what, ok: false, detail: error instanceof Error ? error.message : String(error) };
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

/** One that is missing is no fault: another trains in its place. */
async function engines(): Promise<Check[]> {
  const found = await surveyEngines(systemRandom);
  const chosen = found.find(({ stepsPerSecond }) => stepsPerSecond !== null);
  return found.map(({ engine, stepsPerSecond, detail }) => ({
    what: `engine ${engine}`,
    ok: true,
    detail:
      stepsPerSecond === null
        ? `not here: ${detail}`
        : `${formatCount(Math.round(stepsPerSecond))} steps/s of 32 images on the 2NN; ${detail}${engine === chosen?.engine ? '; chosen for models that compile' : ''}`,
    stepsPerSecond,
  }));
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
