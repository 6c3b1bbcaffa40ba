/** How much of a training round's CPU is differential privacy and its accounting: real federations under V8's profiler, every process and thread. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench, Figure } from '../../scripts/bench-kit.ts';

const COMMAND = fileURLToPath(new URL('../bin/carapace.mjs', import.meta.url));
/** What a round costs is what the second has more than the first, over the rounds between them: starting and ending fall out. */
const [FEW, MANY] = [2, 8];
/** Whose frames, with all that they call, are differential privacy: noise on the client, opening, accountants and ledger. */
const PRIVATE =
  /\/aggregation\/src\/privacy\/|\/crypto\/src\/noise\/|\/own-noise\.ts|\/app\/privacy\/|\/domain\/budget\.ts/;
const DATABASE = /\/pglite\//;

/** Milliseconds. */
interface Times {
  readonly busy: number;
  readonly clients: number;
  readonly coordinator: number;
  /** Of the database's thread, whatever it is asked. */
  readonly database: number;
}

export const bench: Bench = {
  description:
    'what of a training round is differential privacy and accounting, in a federation as `npm start` runs it',
  method:
    `\`carapace up --epsilon 8 --exit\` with its usual model, 8 clients and secure aggregation, of ${FEW} and of ${MANY} rounds, each process and thread under V8's sampling profiler (1 ms): the difference over ${MANY - FEW} rounds. ` +
    'Private is every sample with a frame of the mechanisms, the accountants, the device ledger or the budgets on its stack, native calls included; busy is every sample that is not idle. ' +
    'SQL of the ledger runs in the thread of the database and cannot be told from other SQL: that thread is compared with the same two runs without --epsilon',
  run: async () => {
    const noisy = perRound(await profiled(FEW, ['--epsilon', '8']), await profiled(MANY, ['--epsilon', '8']));
    const plain = perRound(await profiled(FEW, []), await profiled(MANY, []));
    return figures(noisy, plain);
  },
};

function figures(noisy: Times, plain: Times): Figure[] {
  const share = (part: number): number => (100 * part) / noisy.busy;
  const told = (what: string, value: number, unit: string, more: Pick<Figure, 'anchor'> & Partial<Figure>): Figure => ({
    goal: null,
    what,
    value,
    unit,
    spread: [value, value],
    ...more,
  });
  const busy = `${Math.round(noisy.busy)} ms of all processes in a round`;
  return [
    told('differential privacy and accounting in a round', share(noisy.clients + noisy.coordinator), '%', {
      goal: 5,
      atMost: true,
      anchor: busy,
    }),
    told('clients: clip, rotate, round, noise, wrap, own ledger', share(noisy.clients), '%', {
      anchor: `${Math.round(noisy.clients / 8)} ms a client`,
    }),
    told('coordinator: opening, accountants, ledger', share(noisy.coordinator), '%', {
      anchor: `${Math.round(noisy.coordinator)} ms`,
    }),
    told('thread of the database, more than without --epsilon', share(noisy.database - plain.database), '%', {
      anchor: `${Math.round(noisy.database)} ms, without ${Math.round(plain.database)} ms: their difference is within the noise of such runs`,
    }),
    told('whole round, against one without --epsilon', noisy.busy / plain.busy, 'x', {
      anchor: `${Math.round(plain.busy)} ms`,
    }),
  ];
}

function perRound(few: Times, many: Times): Times {
  const of = (part: keyof Times): number => (many[part] - few[part]) / (MANY - FEW);
  return { busy: of('busy'), clients: of('clients'), coordinator: of('coordinator'), database: of('database') };
}

async function profiled(rounds: number, more: readonly string[]): Promise<Times> {
  const directory = await mkdtemp(join(tmpdir(), 'carapace-dp-round-'));
  try {
    const profiles = join(directory, 'profiles');
    const args = [
      'up',
      '--rounds',
      String(rounds),
      '--exit',
      '--json',
      '--port',
      '0',
      '--data',
      join(directory, 'data'),
    ];
    const child = spawn(process.execPath, [COMMAND, ...args, ...more], {
      env: { ...process.env, NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles} --cpu-prof-interval=1000` },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`carapace up ended with ${code}`);
    const files = await readdir(profiles);
    const all = await Promise.all(
      files.map(async (file) => timesOf(file, await readFile(join(profiles, file), 'utf8'), child.pid)),
    );
    return all.reduce(added);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function added(one: Times, other: Times): Times {
  return {
    busy: one.busy + other.busy,
    clients: one.clients + other.clients,
    coordinator: one.coordinator + other.coordinator,
    database: one.database + other.database,
  };
}

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

/** @param file named `CPU.<date>.<time>.<process>.<thread>.<count>.cpuprofile` */
function timesOf(file: string, text: string, coordinator: number | undefined): Times {
  const { nodes, samples, timeDeltas } = JSON.parse(text) as Profile;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const isPrivate = new Set<number>();
  // A child is listed after its parent.
  for (const { id, callFrame, children = [] } of nodes) {
    if (PRIVATE.test(callFrame.url)) isPrivate.add(id);
    if (isPrivate.has(id)) for (const child of children) isPrivate.add(child);
  }
  let [busy, inside, database] = [0, 0, 0];
  samples.forEach((id, at) => {
    const { functionName, url } = byId.get(id)!.callFrame;
    if (functionName === '(idle)') return;
    const ms = timeDeltas[at]! / 1000;
    busy += ms;
    if (isPrivate.has(id)) inside += ms;
    if (DATABASE.test(url)) database += ms;
  });
  const [, , , pid] = file.split('.');
  const isCoordinator = Number(pid) === coordinator;
  return {
    busy,
    clients: isCoordinator ? 0 : inside,
    coordinator: isCoordinator ? inside : 0,
    // WebAssembly and memory of the database belong to it: its thread does nothing else.
    database: isCoordinator && database > busy / 20 ? busy : 0,
  };
}
