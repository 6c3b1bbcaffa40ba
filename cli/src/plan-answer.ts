/** A plan as JSON, as a page of text, and as a drawing. */
import { writeFileSync } from 'node:fs';
import { parsePlanQuestion, PLAN_PARAMETERS, planPrivacy } from '@carapace/aggregation';
import type { Change, PlannedRun, PlanQuestion, PlanView, PrivacyPlan } from '@carapace/aggregation';
import { CliError } from './errors.ts';
import { formatBytes, formatCount, sheet, sparkline, table } from './format.ts';
import type { Io } from './io.ts';
import { operatorCalls } from './operator-calls.ts';
import { planPlot } from './plan-plot.ts';
import { planDocument } from './plan-question.ts';
import type { PlanFlags } from './plan-question.ts';

/** A coordinator gives up before. */
const DEADLINE_MS = 90_000;

export async function answerPlan(io: Io, task: string | undefined, flags: PlanFlags): Promise<void> {
  const document = await planDocument(task, flags);
  const plan = flags.url === undefined ? planPrivacy(parsePlanQuestion(document)) : await planAt(io, document, flags);
  if (flags.svg !== undefined) {
    if (plan.run === null) throw new CliError('RUN_FAILED', `there is no curve to draw: ${plan.warnings[0]?.text}`);
    writeFileSync(flags.svg, planPlot(plan.question, plan.run));
  }
  const counted = flags.url === undefined ? ['parameters'] : ['parameters', 'model', 'task'];
  const sized = counted.some((key) => key in document);
  io.output.result(jsonOf(plan), () => planText(plan, sized));
}

async function planAt(io: Io, document: object, flags: PlanFlags): Promise<PrivacyPlan> {
  const calls = operatorCalls(flags, io.env, io.signal);
  return endless(await calls.post<PrivacyPlan>('/v1/plan', document, DEADLINE_MS));
}

/** What {@link jsonOf} was made of. */
function endless(plan: PrivacyPlan): PrivacyPlan {
  if (plan.run === null) return plan;
  const { epsilon, curve } = plan.run;
  return { ...plan, run: { ...plan.run, epsilon: withEnds(epsilon), curve: curve.map(withEnds) } };
}

function withEnds<T extends Readonly<Record<PlanView, number | null>>>(views: T): T & Record<PlanView, number> {
  return { ...views, model: views.model ?? Infinity, server: views.server ?? Infinity };
}

/** JSON has no infinity: an epsilon that is none is null. */
function jsonOf(plan: PrivacyPlan): object {
  return JSON.parse(JSON.stringify(plan)) as object;
}

function planText({ question, warnings, run }: PrivacyPlan, sized: boolean): string {
  const said = warnings.map(({ code, text }) => `! ${code}: ${text}`);
  if (run === null) return ['There can be no such run.', ...said].join('\n');
  const parts = [sheet(rows(question, run, sized))];
  if (said.length > 0) parts.push(said.join('\n'));
  if (run.target?.met === false) parts.push(changesText(question, run));
  return parts.join('\n\n');
}

function rows(question: PlanQuestion, run: PlannedRun, sized: boolean): [string, string][] {
  const { signal, traffic, quorum, target } = run;
  const assumed = sized ? '' : ` (that of mnist-2nn, ${PLAN_PARAMETERS}; --parameters or --model names another)`;
  const found: [string, string][] = [
    [
      'rounds',
      `${formatCount(run.rounds)} of ${formatCount(run.selected)} clients${quorum.quorum === 0 ? ' more or less' : `, ${quorum.quorum} needed`}${populationText(question)}`,
    ],
    [
      'noise',
      `${run.noiseMultiplier} times the clip${run.calibrated ? ', the least that meets the target' : ''}; ${question.noise}, ${PLACED[question.placement]}`,
    ],
    [
      'model view',
      `${curveText(run, 'model')}${question.rate === null ? '' : `, by secret coins of ${question.rate}`}`,
    ],
    ['server view', serverText(question, run)],
    ['delta', String(question.delta)],
  ];
  if (target !== null) found.push(['target', targetText(target, run)]);
  for (const { budget, roundsLeft } of question.budgets)
    found.push(['budget', `${budget}: ${formatCount(roundsLeft)} of ${formatCount(run.rounds)} rounds fit`]);
  found.push(
    ['signal', signalText(signal)],
    ['model', `${formatCount(question.parameters)} parameters${assumed}`],
    [
      'a client',
      `${formatBytes(traffic.upBytes)} up, ${formatBytes(traffic.downBytes)} down a round; ${lanesText(traffic)}`,
    ],
    ['quorum', quorumText(quorum)],
  );
  return found;
}

const PLACED: Readonly<Record<PlanQuestion['placement'], string>> = {
  distributed: 'shared by the clients',
  central: 'all of it by the coordinator',
  local: 'all of it by each client',
};

function serverText({ placement }: PlanQuestion, run: PlannedRun): string {
  if (placement === 'central') return 'nothing is promised: the coordinator sees what has no noise yet';
  return `${curveText(run, 'server')}, ${participationsText(run.participations)}`;
}

function lanesText({ lanes }: PlannedRun['traffic']): string {
  return lanes === null ? 'in the clear' : `lanes of ${lanes.laneBits} bits for sums modulo 2^${lanes.bits}`;
}

function quorumText({ quorum, probability, dropout, attempts }: PlannedRun['quorum']): string {
  if (quorum === 0) return 'none: a round completes whoever comes';
  const tries =
    attempts === null ? 'never' : attempts === 1 ? 'at the first try' : `in ${shown(attempts, 4)} tries on average`;
  return `met with probability ${shown(probability, 6)} when ${shown(100 * dropout)} % drop out: a round completes ${tries}`;
}

function populationText({ population }: PlanQuestion): string {
  return population === null ? '' : `, of ${formatCount(population)}`;
}

function curveText({ curve, epsilon }: PlannedRun, view: 'model' | 'server'): string {
  const bars = Array.from({ length: 16 }, (_, i) => curve[Math.round((i * (curve.length - 1)) / 15)]![view]);
  const first = curve[0]![view];
  const line = curve.length === 1 ? '' : ` ${sparkline(bars.map((value) => (100 * value) / (bars.at(-1) || 1)))}`;
  return `epsilon ${shown(first)} after a round, ${shown(epsilon[view])} after the last${line}`;
}

function participationsText({ basis, most, risk }: PlannedRun['participations']): string {
  if (basis === 'every round') return 'a client that is in every round';
  if (basis === 'stated') return `a client that is in ${most}`;
  return `a client that is in ${most}: more than any, but once in ${Math.round(1 / risk)} runs`;
}

function targetText({ epsilon, view, met, roundsHeld }: NonNullable<PlannedRun['target']>, run: PlannedRun): string {
  const holds = met && roundsHeld > run.rounds ? `; ${formatCount(roundsHeld)} rounds would be` : '';
  return `epsilon ${epsilon} in the ${view} view: ${met ? 'met' : `missed, ${roundsHeld} of ${run.rounds} rounds are within it`}${holds}`;
}

function signalText({ noiseToSignal, noiseToSignalOverRun, survivors, levelCohort }: PlannedRun['signal']): string {
  return `noise ${shown(noiseToSignal)} times the longest mean of ${survivors} clients, ${shown(noiseToSignalOverRun)} times over the run; level at a cohort of ${formatCount(levelCohort)}`;
}

function changesText(question: PlanQuestion, { changes, hopeless }: PlannedRun): string {
  const { noise, rounds, cohort, delta } = question.prices;
  const head = `What would meet it, by price: ${noise} for twice the noise, ${rounds} for half the rounds, ${cohort} for twice the clients, ${delta} for ten times the delta.`;
  const lines = table(
    ['CHANGE', 'TO', 'EPSILON', 'PRICE'],
    changes.map((change) => [change.what, changeText(change), shown(change.epsilon, 5), change.cost.toFixed(2)]),
  );
  return [head, lines, ...(hopeless.length === 0 ? [] : [`Not by itself: ${hopeless.join(', ')}.`])].join('\n');
}

function changeText({ what, question: { noiseMultiplier, rounds, cohort, delta } }: Change): string {
  switch (what) {
    case 'noise':
      return `a noise multiplier of ${noiseMultiplier}`;
    case 'rounds':
      return `${formatCount(rounds)} rounds`;
    case 'cohort':
      return `${formatCount(cohort.target)} clients a round, ${formatCount(cohort.minimum)} needed, and a noise multiplier of ${noiseMultiplier}: the mean stays as noisy`;
    case 'delta':
      return `delta ${delta}`;
  }
}

function shown(value: number, digits = 3): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : 'without end';
}
