/** The one line at which a document becomes a {@link Task}. Reference with every key and default: `docs/task.md`. */
import { parseRational, toNumber } from '@carapace/crypto';
import { DocumentReader } from './document.ts';
import { AggregationError } from './errors.ts';
import { parseBudgetId, parseClientId, parseModelName, parseTaskId } from './ids.ts';
import { defaultBitDeviation, DEFAULT_CLIP_RULE } from './privacy/mechanisms/adaptive-clip.ts';
import { isAtLeast } from './privacy/mechanisms/rational-arithmetic.ts';
import { LEAST_TASK_CLIP, MOST_TASK_CLIP, wholeClip } from './privacy/moving-clip.ts';
import { roundChargeOf } from './privacy/round-charge.ts';
import { modeFor, payloadBytes } from './secagg/mask-mode.ts';
import { laneFormat } from './secagg/quantiser.ts';
import { checkThresholds, MOST_CLIENTS, thresholdsFor } from './secagg/thresholds.ts';
import { MASK_MODES } from './secagg/vector-mask.ts';
import { SHARES_LEAST_CLIENTS } from './shares/session.ts';
import { matrixOf, NOISE_PLACEMENTS, privacyOf } from './task.ts';
import type {
  AdaptiveClip,
  ClearUpdates,
  Cohort,
  LocalTraining,
  NoiseMatrix,
  Optimizer,
  Protection,
  Schedule,
  SecureAggregation,
  Selection,
  SharesAggregation,
  Strategy,
  Task,
  UserPrivacy,
} from './task.ts';

const DAY = 86_400;
const count = { min: 1, max: 1_000_000, integer: true } as const;
const seconds = { min: 1, max: 30 * DAY } as const;
const stepSeconds = { min: 1, max: DAY } as const;
const rate = { min: 1e-9, max: 1e3 } as const;
/** Two clients and a coordinator that colludes with one of them: nothing would be left to hide among. */
const LEAST_CLIENTS: Readonly<Record<Protection['kind'], number>> = {
  clear: 1,
  secagg: 3,
  shares: SHARES_LEAST_CLIENTS,
};

/** @throws AggregationError `TASK_INVALID`, naming the key, what was found and what is allowed */
export function parseTask(value: unknown): Task {
  const document = new DocumentReader(value, '');
  const protection = document.object('protection', {});
  const cohort = document.object('cohort');
  const hidden = readProtection(protection, cohort.number('target', count));
  const task: Task = {
    name: document.parsed('name', parseTaskId),
    model: readModel(document.object('model')),
    cohort: readCohort(cohort, LEAST_CLIENTS[hidden.kind]),
    training: readTraining(document.object('training', {})),
    strategy: readStrategy(document.object('strategy', {})),
    protection: hidden,
    schedule: readSchedule(document.object('schedule', {})),
    rounds: document.numberOrNull('rounds', count, null),
  };
  document.end();
  checkSelection(task);
  checkMatrix(task, { cohort, protection });
  if (hidden.kind === 'secagg') checkSecureAggregation(task, hidden, { cohort, protection });
  if (hidden.kind === 'shares') checkShares(task, hidden, { cohort, protection });
  checkNoise(task, protection);
  return task;
}

function readModel(model: DocumentReader): Task['model'] {
  const name = model.parsed('name', parseModelName);
  model.end();
  return { name };
}

function readCohort(cohort: DocumentReader, least: number): Cohort {
  const selection = readSelection(cohort.object('selection', {}));
  if (selection.kind === 'poisson') return readPoissonCohort(cohort, selection);
  const target = cohort.number('target', count);
  const minimum = cohort.number('minimum', count, Math.max(least, Math.ceil(target / 2)));
  if (minimum < least)
    throw cohort.refuse('minimum', `is ${minimum}, but secure aggregation needs ${least} clients to hide among`);
  if (minimum > target)
    throw cohort.refuse('minimum', `is ${minimum}, above the target of ${target}: no round could close`);
  const read: Cohort = {
    selection,
    ...readParticipation(cohort),
    target,
    minimum,
    overSelection: cohort.number('overSelection', { min: 1, max: 10 }, 1),
    perSite: cohort.numberOrNull('perSite', count, null),
    selectionSeconds: cohort.number('selectionSeconds', seconds, 60),
    reportSeconds: cohort.number('reportSeconds', seconds, 600),
    graceSeconds: cohort.number('graceSeconds', { min: 0, max: DAY }, 30),
  };
  cohort.end();
  return read;
}

function readParticipation(cohort: DocumentReader): Pick<Cohort, 'participation'> {
  if (!cohort.has('participation')) return {};
  const participation = cohort.object('participation');
  const read = {
    most: participation.numberOrNull('most', count, null),
    apart: participation.number('apart', count, 1),
  };
  participation.end();
  return { participation: read };
}

function readSelection(selection: DocumentReader): Selection {
  const kind = selection.choice('kind', ['fixed', 'poisson'], 'fixed');
  if (kind === 'poisson' && selection.has('cap'))
    throw unproved(
      'cohort.selection.cap: no bound is proved for integer noise on a cohort that is cut to a size; leave it out',
    );
  const read: Selection = kind === 'fixed' ? { kind } : { kind, rate: selection.parsed('rate', parseRate) };
  selection.end();
  return read;
}

function parseRate(text: string): string {
  const value = toNumber(parseRational(text));
  if (value >= LEAST_RATE && value <= 1) return text;
  throw new AggregationError('TASK_INVALID', `a decimal text from ${LEAST_RATE} to 1`);
}

const LEAST_RATE = 1e-9;

/** Nothing may hang on how many the coins chose: no quorum, no more to be on the safe side, no cap. */
function readPoissonCohort(cohort: DocumentReader, selection: Selection): Cohort {
  const only = (key: string, value: number | null, wanted: number | null): void => {
    if (value !== wanted)
      throw cohort.refuse(
        key,
        `is ${value}; of a Poisson cohort it is ${wanted}, for nothing may hang on how many it has`,
      );
  };
  const read: Cohort = {
    selection,
    target: cohort.number('target', count),
    minimum: cohort.number('minimum', count, 1),
    overSelection: cohort.number('overSelection', { min: 1, max: 10 }, 1),
    perSite: cohort.numberOrNull('perSite', count, null),
    selectionSeconds: cohort.number('selectionSeconds', seconds, 60),
    reportSeconds: cohort.number('reportSeconds', seconds, 600),
    graceSeconds: cohort.number('graceSeconds', { min: 0, max: DAY }, 30),
  };
  only('minimum', read.minimum, 1);
  only('overSelection', read.overSelection, 1);
  only('perSite', read.perSite, null);
  cohort.end();
  return read;
}

/** Amplification by sampling is claimed where it is proved, and refused elsewhere. */
function checkSelection({ cohort, protection }: Task): void {
  if (cohort.selection?.kind !== 'poisson') return;
  if (protection.kind !== 'clear')
    throw unproved(
      `a Poisson cohort with ${protection.kind}: its members are told to each other, and one that is too small to hide among is abandoned, which tells how many were chosen; take clear`,
    );
  if (privacyOf(protection)?.placement !== 'central')
    throw unproved(
      'a Poisson cohort without central noise: where clients add noise, whether somebody is there changes the noise itself, and no bound is proved for that; take placement central',
    );
}

function unproved(why: string): AggregationError {
  return new AggregationError('PRIVACY_UNPROVED', why);
}

function readTraining(training: DocumentReader): LocalTraining {
  const read: LocalTraining = {
    epochs: training.number('epochs', { min: 1, max: 1000, integer: true }, 1),
    batchSize: training.number('batchSize', { min: 1, max: 65_536, integer: true }, 32),
    optimizer: readOptimizer(training.object('optimizer', {})),
    loss: training.choice(
      'loss',
      ['categorical-crossentropy', 'sparse-categorical-crossentropy', 'binary-crossentropy', 'mean-squared-error'],
      'sparse-categorical-crossentropy',
    ),
    maxExamples: training.number('maxExamples', { min: 1, max: 2 ** 32 - 1, integer: true }, 1_000_000),
    ...readExamplePrivacy(training),
  };
  training.end();
  return read;
}

function readExamplePrivacy(training: DocumentReader): Pick<LocalTraining, 'privacy'> {
  if (!training.has('privacy')) return {};
  const privacy = training.object('privacy');
  const read = {
    unit: privacy.choice('unit', ['example'], 'example'),
    noiseMultiplier: privacy.parsed('noiseMultiplier', parseMultiplier),
    clip: privacy.number('clip', { min: LEAST_TASK_CLIP, max: MOST_TASK_CLIP }),
  };
  privacy.end();
  return { privacy: read };
}

function readOptimizer(optimizer: DocumentReader): Optimizer {
  const read: Optimizer = {
    kind: optimizer.choice('kind', ['sgd'], 'sgd'),
    learningRate: optimizer.number('learningRate', rate, 0.1),
    momentum: optimizer.number('momentum', { min: 0, max: 0.9999 }, 0),
  };
  optimizer.end();
  return read;
}

function readStrategy(strategy: DocumentReader): Strategy {
  const read: Strategy = {
    kind: strategy.choice('kind', ['fedavg'], 'fedavg'),
    serverLearningRate: strategy.number('serverLearningRate', rate, 1),
  };
  strategy.end();
  return read;
}

/** @param target of the cohort: what some defaults are made for */
function readProtection(protection: DocumentReader, target: number): Protection {
  const kind = protection.choice('kind', ['clear', 'secagg', 'shares'], 'clear');
  const read = readProtectionOf(kind, protection, target);
  protection.end();
  return read;
}

function readProtectionOf(kind: Protection['kind'], protection: DocumentReader, target: number): Protection {
  switch (kind) {
    case 'clear':
      return readClear(protection, target);
    case 'secagg':
      return readSecureAggregation(protection, target);
    case 'shares':
      return readShares(protection, target);
  }
}

function readClear(protection: DocumentReader, target: number): ClearUpdates {
  const privacy = readPrivacy(protection, target, 'discrete-gaussian');
  if (privacy === null) return { kind: 'clear' };
  if (privacy.placement === 'distributed')
    throw protection.refuse(
      'privacy.placement',
      'is distributed, but in the clear nobody hides a share of noise: take secagg or shares, or noise that is central or local',
    );
  if (privacy.noise !== 'discrete-gaussian')
    throw protection.refuse('privacy.noise', `is ${privacy.noise}; in the clear noise is discrete-gaussian`);
  if (privacy.adaptive && privacy.placement === 'local')
    throw protection.refuse(
      'privacy.adaptive',
      'needs a place for the clip bit: an update in the clear has none for one under local noise; take secagg or shares, or placement central',
    );
  return { kind: 'clear', privacy };
}

function readShares(protection: DocumentReader, target: number): SharesAggregation {
  return {
    kind: 'shares',
    ...readQuantiser(protection),
    aggregator: protection.parsed('aggregator', parseClientId),
    stepSeconds: protection.number('stepSeconds', stepSeconds, 60),
    privacy: readPrivacy(protection, target),
  };
}

/** The largest cohort must have numbers for its members, and sums that fit the lanes. */
function checkShares(
  { cohort, training }: Task,
  { clip, bits }: SharesAggregation,
  at: { readonly cohort: DocumentReader; readonly protection: DocumentReader },
): void {
  const largest = Math.ceil(cohort.target * cohort.overSelection);
  if (largest > MOST_CLIENTS)
    throw at.cohort.refuse('target', `cannot be: a cohort of ${largest}, at most ${MOST_CLIENTS} can be numbered`);
  try {
    laneFormat({ clip, bits, maxWeight: training.maxExamples }, 1, largest);
  } catch (error) {
    throw refusedBy(error, (why) => at.protection.refuse('bits', why));
  }
}

function readSecureAggregation(protection: DocumentReader, target: number): SecureAggregation {
  return {
    kind: 'secagg',
    ...readQuantiser(protection),
    mode: protection.choice('mode', ['auto', ...MASK_MODES], 'auto'),
    stepSeconds: protection.number('stepSeconds', stepSeconds, 60),
    privacy: readPrivacy(protection, target),
  };
}

function readPrivacy(
  protection: DocumentReader,
  target: number,
  noise: UserPrivacy['noise'] = 'skellam',
): UserPrivacy | null {
  if (!protection.has('privacy')) return null;
  const privacy = protection.object('privacy');
  const placement = privacy.choice('placement', NOISE_PLACEMENTS, 'distributed');
  const noiseMultiplier = privacy.parsed('noiseMultiplier', parseMultiplier);
  const clip = privacy.number('clip', { min: LEAST_TASK_CLIP, max: MOST_TASK_CLIP });
  const read: UserPrivacy = {
    placement,
    noise: privacy.choice('noise', ['skellam', 'discrete-gaussian'], noise),
    noiseMultiplier,
    clip,
    ...readAdaptive(privacy, { placement, noiseMultiplier, clip }, target),
    colluding: privacy.number('colluding', { min: 0, max: 1_000_000, integer: true }, 0),
    budgets: privacy.parsedList('budgets', parseBudgetId),
    ...readMatrix(privacy),
  };
  if (read.budgets.length === 0 || new Set(read.budgets).size < read.budgets.length)
    throw privacy.refuse('budgets', 'must name a budget at least, and none twice');
  if (read.colluding > 0 && read.placement !== 'distributed')
    throw privacy.refuse(
      'colluding',
      `is ${read.colluding}, but ${read.placement} noise is not shared among survivors`,
    );
  privacy.end();
  return read;
}

/** A clip bit that would take all of the noise is refused; by default it takes little of it, and a quarter at most. */
function readAdaptive(
  privacy: DocumentReader,
  of: Pick<UserPrivacy, 'placement' | 'noiseMultiplier' | 'clip'>,
  target: number,
): Pick<UserPrivacy, 'adaptive'> {
  if (!privacy.has('adaptive')) return {};
  const adaptive = privacy.object('adaptive');
  const read: AdaptiveClip = {
    quantile: adaptive.number('quantile', { min: 0.01, max: 0.99 }, DEFAULT_CLIP_RULE.quantile),
    rate: adaptive.number('rate', { min: 1e-3, max: 2 }, DEFAULT_CLIP_RULE.rate),
    bitDeviation: adaptive.has('bitDeviation')
      ? adaptive.parsed('bitDeviation', parseDeviation)
      : bitDeviationFor(of, target),
  };
  try {
    wholeClip({ ...of, adaptive: read });
  } catch (error) {
    throw refusedBy(error, () =>
      adaptive.refuse(
        'bitDeviation',
        `is ${read.bitDeviation}; allowed is more than half of the noise multiplier of ${of.noiseMultiplier}, which is all the noise there is`,
      ),
    );
  }
  adaptive.end();
  if (privacy.has('matrix'))
    throw privacy.refuse(
      'adaptive',
      'is a clip that moves, and noise that is correlated over rounds would no longer cancel: leave out one of the two',
    );
  return { adaptive: read };
}

/** The paper's twentieth of the cohort; in a small one, or where each bit has it, the noise multiplier. */
function bitDeviationFor(
  { placement, noiseMultiplier }: Pick<UserPrivacy, 'placement' | 'noiseMultiplier'>,
  target: number,
): string {
  const deviation = defaultBitDeviation(target);
  const serves = placement !== 'local' && isAtLeast(deviation, parseRational(noiseMultiplier));
  return serves ? String(toNumber(deviation)) : noiseMultiplier;
}

function readMatrix(privacy: DocumentReader): Pick<UserPrivacy, 'matrix'> {
  if (!privacy.has('matrix')) return {};
  const matrix = privacy.object('matrix');
  const kind = matrix.choice('kind', ['tree', 'toeplitz', 'banded']);
  const bounds = { min: 1, max: 65_536, integer: true } as const;
  const read: NoiseMatrix = {
    kind,
    ...(kind === 'banded' && { band: matrix.number('band', bounds) }),
    steps: matrix.number('steps', bounds),
    most: matrix.number('most', bounds),
    apart: matrix.number('apart', bounds, 1),
  };
  matrix.end();
  return { matrix: read };
}

/** The sum must be one that nobody but the coordinator adds noise to, of all who may be in it, and the steps those that are charged. */
function checkMatrix(
  { cohort, protection, rounds }: Task,
  at: { readonly cohort: DocumentReader; readonly protection: DocumentReader },
): void {
  const matrix = matrixOf(protection);
  if (matrix === null) return;
  if (protection.kind !== 'clear' || protection.privacy?.placement !== 'central')
    throw at.protection.refuse(
      'privacy.matrix',
      'needs the sum of each round as whole numbers that did not wrap: it goes with clear and placement central',
    );
  if (cohort.selection?.kind === 'poisson')
    throw unproved(
      'correlated noise in a Poisson cohort: no bound is proved for coins and a matrix together; take selection fixed',
    );
  if (cohort.participation)
    throw at.cohort.refuse('participation', 'is what privacy.matrix says already, by most and apart: leave it out');
  if (rounds === null || rounds > matrix.steps)
    throw at.protection.refuse(
      'privacy.matrix.steps',
      `is ${matrix.steps}, but the task has ${rounds ?? 'any number of'} rounds`,
    );
}

const MOST_DEVIATION = 1e6;

function parseDeviation(text: string): string {
  const value = toNumber(parseRational(text));
  if (value > 0 && value <= MOST_DEVIATION) return text;
  throw new AggregationError('TASK_INVALID', `a decimal text above 0, at most ${MOST_DEVIATION}`);
}

const LEAST_MULTIPLIER = 0.02;
const MOST_MULTIPLIER = 1e6;

/** As it was written, so that every party reads the same rational number. */
function parseMultiplier(text: string): string {
  const value = toNumber(parseRational(text));
  if (value >= LEAST_MULTIPLIER && value <= MOST_MULTIPLIER) return text;
  throw new AggregationError('TASK_INVALID', `a decimal text from ${LEAST_MULTIPLIER} to ${MOST_MULTIPLIER}`);
}

function readQuantiser(protection: DocumentReader): Pick<SecureAggregation, 'clip' | 'bits'> {
  return {
    clip: protection.number('clip', { min: 1e-6, max: 1e6 }, 1),
    bits: protection.number('bits', { min: 4, max: 24, integer: true }, 16),
  };
}

/** The dimension is the model's, which this document only names: a round trip through one value finds what can never be. */
function checkNoise(task: Task, at: DocumentReader): void {
  try {
    // Tables are made when they are asked for.
    void roundChargeOf(task, 1)?.model.totalVariation;
  } catch (error) {
    throw refusedBy(error, (why) => at.refuse('privacy', why));
  }
}

/** Whatever cohort the task may select, its session must be possible: what cannot be is refused here and not round after round. */
function checkSecureAggregation(
  { cohort, training }: Task,
  { clip, bits, mode }: SecureAggregation,
  at: { readonly cohort: DocumentReader; readonly protection: DocumentReader },
): void {
  const largest = Math.ceil(cohort.target * cohort.overSelection);
  try {
    for (const clients of [cohort.minimum, largest]) checkThresholds(clients, thresholdsFor(clients));
  } catch (error) {
    throw refusedBy(error, (why) => at.cohort.refuse('target', why));
  }
  try {
    const format = laneFormat({ clip, bits, maxWeight: training.maxExamples }, 1, largest);
    payloadBytes(mode === 'auto' ? modeFor(largest) : mode, format);
  } catch (error) {
    throw refusedBy(error, (why) => at.protection.refuse('bits', why));
  }
}

function refusedBy(error: unknown, refuse: (why: string) => Error): unknown {
  return error instanceof AggregationError ? refuse(`cannot be: ${error.message}`) : error;
}

function readSchedule(schedule: DocumentReader): Schedule {
  const kind = schedule.choice('kind', ['continuous', 'every', 'cron'], 'continuous');
  const read = readScheduleOf(kind, schedule);
  schedule.end();
  return read;
}

function readScheduleOf(kind: Schedule['kind'], schedule: DocumentReader): Schedule {
  switch (kind) {
    case 'continuous':
      return { kind };
    case 'every':
      return { kind, seconds: schedule.number('seconds', seconds) };
    case 'cron':
      return { kind, pattern: schedule.text('pattern') };
  }
}
