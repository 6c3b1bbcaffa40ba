/** A line a round, aligned, with a line that moves where the terminal can show one. */
import type { ClientId } from '@carapace/aggregation';
import type { Happening } from '@carapace/coordinator';
import { formatBytes, formatCount, formatPercent, formatSeconds, sparkline } from '../format.ts';
import { adminKeyPath } from '../local-files.ts';
import type { Output } from '../output.ts';
import type { Beginning, NamedNoise, Reporter, Summary } from './reporter.ts';

interface RoundProgress {
  readonly id: string;
  readonly number: string;
  phase: string;
  cohort: readonly ClientId[];
  readonly reported: ClientId[];
  readonly missing: string[];
  examples: number;
  lossSum: number;
  up: number;
  down: number;
}

const PROTECTIONS: Readonly<Record<Beginning['protection'], string>> = {
  clear: 'the coordinator sees each update',
  shares:
    'the coordinator and a second aggregator hold a share each, and learn the sum together (here both are on one host: a trial, no protection)',
  secagg: 'the coordinator learns the sum of the updates, and takes nobody in it apart',
};

const HEAD = 'round  cohort  reported                 up      down  train loss  test accuracy    time';
const EPSILON_HEAD = '  epsilon spent';

export function narrator(output: Output, numberOf: (client: ClientId) => number): Reporter {
  let round: RoundProgress | null = null;
  let down = 0;
  let headShown = false;
  let engineShown = false;
  /** What the budget stood at when the newest round was opened; empty without one. */
  let spent = '';
  const told = (): string => {
    if (round === null) return '';
    if (round.cohort.length === 0) return `round ${round.number}: waiting for clients`;
    return `round ${round.number}: ${round.reported.length} of ${round.cohort.length} reported${round.phase}`;
  };
  const completed = (happening: Extract<Happening, { kind: 'round-completed' }>, of: RoundProgress): void => {
    if (!headShown) output.line(`\n${HEAD}${spent === '' ? '' : EPSILON_HEAD}`);
    headShown = true;
    const loss = of.examples === 0 ? '-' : (of.lossSum / of.examples).toFixed(4);
    const accuracy = happening.metrics['testAccuracy'];
    const who = of.reported.map(numberOf).sort((a, b) => a - b);
    output.line(
      [
        of.number.padStart(5),
        String(of.cohort.length).padStart(6),
        compact(who).padEnd(17),
        formatBytes(of.up).padStart(8),
        formatBytes(of.down).padStart(8),
        loss.padStart(10),
        (accuracy === undefined ? '-' : formatPercent(accuracy)).padStart(13),
        formatSeconds(happening.durationMs / 1000).padStart(6),
      ].join('  ') + spent,
    );
    for (const line of of.missing) output.line(`       ${line}`);
  };
  const trained = (event: Readonly<Record<string, unknown>>): void => {
    if (round === null || event['round'] !== round.id) return;
    const examples = Number(event['examples']);
    round.examples += examples;
    round.lossSum += examples * ((event['metrics'] as Readonly<Record<string, number>>)['trainLoss'] ?? 0);
  };
  const happened = (happening: Happening): void => {
    switch (happening.kind) {
      case 'round-opened':
        round = {
          id: happening.round,
          phase: '',
          number: happening.round.split('.')[1] ?? '',
          cohort: [],
          reported: [],
          missing: [],
          examples: 0,
          lossSum: 0,
          up: 0,
          down,
        };
        down = 0;
        break;
      case 'cohort-selected':
        if (round !== null) round.cohort = happening.clients;
        break;
      case 'bytes-sent':
        // The first models are fetched by whoever checks in before the round's own line begins.
        if (round === null) down += happening.bytes;
        else round.down += happening.bytes;
        break;
      case 'update-admitted':
        if (round === null) break;
        round.reported.push(happening.client);
        round.up += happening.bytes;
        break;
      case 'update-refused':
        round?.missing.push(`client ${numberOf(happening.client)}: update refused (${happening.code})`);
        break;
      case 'participant-declined':
        round?.missing.push(`client ${numberOf(happening.client)}: declined, ${happening.reason}`);
        break;
      case 'budget-charged':
        spent = '  ' + `${happening.epsilon.toFixed(3)} of ${happening.limit}`.padStart(EPSILON_HEAD.length - 2);
        break;
      case 'budget-refused':
        output.line(`\nno further round: ${happening.why}`);
        break;
      case 'round-completed':
        if (round !== null) completed(happening, round);
        round = null;
        break;
      case 'round-abandoned':
        output.line(`${(round?.number ?? '').padStart(5)}  abandoned: ${happening.reason}`);
        round = null;
        break;
      case 'client-revoked':
        output.line(`client ${numberOf(happening.client)} revoked: ${happening.reason}`);
        break;
      case 'job-failed':
        output.notice(
          `${happening.job} failed, and is tried again: ${happening.error instanceof Error ? happening.error.message : String(happening.error)}`,
        );
        break;
      case 'round-collecting':
        if (round !== null) round.phase = ', hidden';
        break;
      case 'round-unmasking':
        if (round !== null) round.phase = ', uncovering the sum';
        break;
      case 'round-aggregating':
        if (round !== null) round.phase = ', aggregating';
        break;
      case 'client-accused':
        round?.missing.push(`client ${numberOf(happening.client)}: lied to its cohort (${happening.code})`);
        break;
      case 'round-evaluating':
      case 'task-completed':
      case 'client-enrolled':
      case 'model-uploaded':
      case 'repaired':
        break;
    }
    output.status(told());
  };
  return {
    starting: ({ clients }) => {
      output.line(`Carapace: a coordinator and ${clients} clients on this host. Ctrl-C ends it.`);
      output.status('starting the coordinator');
    },
    listening: (url, dataDirectory, newAdminKey) => {
      output.line(`\n  coordinator  ${url}  (reference: ${url}/docs; records in ${dataDirectory})`);
      const made = newAdminKey ? 'made now, ' : '';
      const where = dataDirectory === '.carapace' ? '' : ` --data ${dataDirectory}`;
      output.line(
        `  admin key    ${made}in ${adminKeyPath(dataDirectory)}: \`npx carapace task list${where}\` finds it`,
      );
    },
    begun: ({ task, model, version, parameters, protection, noise, shares, url }) => {
      output.line(`  model        ${url}/v1/models/${model}/channels/latest/model.json`);
      output.line(`               ${formatCount(parameters)} parameters, going on from version ${version}`);
      output.line(`  task         ${task}: FedAvg, protection ${protection} (${PROTECTIONS[protection]})`);
      if (noise !== null) for (const line of noiseLines(noise)) output.line(line);
      output.line(
        `  data         MNIST, ${formatCount(shares.flat().reduce((sum, count) => sum + count, 0))} images; each client's share of the digits 0 to 9:`,
      );
      const shown = shares.slice(0, 16);
      for (const [index, labels] of shown.entries()) {
        const images = labels.reduce((sum, count) => sum + count, 0);
        output.line(
          `    client ${String(index + 1).padEnd(3)} ${sparkline(labels)}  ${formatCount(images).padStart(6)} images`,
        );
      }
      if (shares.length > shown.length) output.line(`    and ${shares.length - shown.length} more`);
      output.status('clients are starting');
    },
    happened,
    clientSaid: (_number, event) => {
      // The coordinator need not know it: this is what the clients of this host tell of themselves.
      if (event['event'] === 'trained') trained(event);
      if (event['event'] !== 'note' || engineShown) return;
      engineShown = true;
      output.line(`  engine       ${String(event['message'])}`);
    },
    clientEnded: ({ number, how, lastWords }) =>
      output.notice(`client ${number} has ended (${how})${lastWords === '' ? '' : `: ${lastWords}`}`),
    trained: (summary) => {
      output.line(`\n${closing(summary)}`);
      output.line(`Still serving on ${summary.url}. Ctrl-C ends it.`);
    },
    stopping: () => output.status('stopping'),
    finished: (summary) => {
      output.clearStatus();
      output.line(`\n${closing(summary)}`);
    },
  };
}

/** Above, what was learned is lost in the noise on it. */
const DROWNED = 1;

function noiseLines(noise: NamedNoise): string[] {
  const { budget, epsilon, delta, noiseMultiplier, rounds, clip, noiseToSignal, levelClients } = noise;
  const indent = ' '.repeat(15);
  const lines = [
    `  privacy      budget ${budget}: epsilon ${epsilon} at delta ${delta} for each client, enough for ${rounds} ${rounds === 1 ? 'round' : 'rounds'}`,
    `${indent}each client clips its update to ${clip} and adds its share of noise; together ${noiseMultiplier} times the clip on every parameter`,
  ];
  if (noiseToSignal > DROWNED)
    lines.push(
      `${indent}With so few clients the model will learn little or nothing: the noise of all rounds together is ${formatRatio(noiseToSignal)} times`,
      `${indent}as long as the farthest way that their updates could move it. Both would be level at about ${formatCount(levelClients)} clients; what 1,000 learn`,
      `${indent}is in docs/privacy/utility.md. This run shows how a budget is spent; to see one that learns leave out --epsilon.`,
      `${indent}Other numbers of --rounds change nothing; a larger --epsilon or --model logistic helps, and more --clients do most.`,
    );
  return lines;
}

function formatRatio(ratio: number): string {
  return ratio < 10 ? ratio.toFixed(1) : ratio.toFixed(0);
}

function closing({
  model,
  version,
  rounds,
  testAccuracy,
  epsilon,
  clients,
  seconds,
  bytesUp,
  bytesDown,
}: Summary): string {
  const cost = epsilon === null ? '' : `, epsilon ${epsilon.toFixed(3)}`;
  const accuracy = testAccuracy === null ? '' : `, test accuracy ${formatPercent(testAccuracy)}`;
  return `${rounds} ${rounds === 1 ? 'round' : 'rounds'} by ${clients} clients in ${formatSeconds(seconds)}: ${model} version ${version}${accuracy}${cost}; ${formatBytes(bytesUp)} up, ${formatBytes(bytesDown)} down`;
}

/** 1 2 3 5 as `1-3 5`. */
function compact(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(' ');
}
