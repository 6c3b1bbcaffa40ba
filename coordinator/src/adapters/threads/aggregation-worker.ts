/** The thread in which updates are summed: megabytes of arithmetic that must not stop the HTTP loop. */
import { parentPort, workerData } from 'node:worker_threads';
import {
  CentrallyNoisyMean,
  clearNoisePlan,
  contextOf,
  decodeMaskedInput,
  decodeSession,
  decodeSharesSession,
  dequantise,
  judgeClearUpdate,
  lanesOf,
  layoutOf,
  maskOf,
  MatrixNoisySum,
  matrixPlanOf,
  noisePlan,
  openNoisyMean,
  openShares,
  serverStep,
  sharesContextOf,
  sharesLanesOf,
  WeightedSum,
  withoutClipBit,
} from '@carapace/aggregation';
import type {
  ClearUpdate,
  DequantisedMean,
  Digest,
  LaneFormat,
  Layout,
  NoisyCohort,
  Quantiser,
  Session,
} from '@carapace/aggregation';
import { openBlobs } from '../blobs/files.ts';
import type { AggregationInput, OpeningInput, OpenOrder } from '../../ports.ts';
import type { Result, WorkReply, WorkRequest } from './aggregation-thread.ts';

const directories = workerData as { readonly models: string; readonly updates: string };
const port = parentPort;
if (port === null) throw new Error('aggregation runs in a worker thread');
const [models, updates] = await Promise.all([openBlobs(directories.models), openBlobs(directories.updates)]);

port.on('message', (request: WorkRequest) => {
  perform(request).then(
    (result) => port.postMessage({ id: request.id, result } satisfies WorkReply),
    (error: unknown) =>
      port.postMessage({
        id: request.id,
        error: error instanceof Error ? error.message : String(error),
      } satisfies WorkReply),
  );
});
port.postMessage({ ready: true } satisfies WorkReply);

function perform(request: WorkRequest): Promise<Result> {
  return request.kind === 'aggregate' ? aggregate(request.input) : open(request.input);
}

async function open(input: OpeningInput): Promise<Result> {
  const summed = await (input.order.kind === 'masks' ? openMasks(input.order) : openShared(input.order));
  const layout = layoutOf(input.tensors);
  const opened = summed && meanOf(summed, input, layout);
  if (opened === undefined) return null;
  const weights = await publishable(input, layout, opened.mean);
  return { weights, examples: opened.weight, noiseState: null, within: opened.within };
}

/** Lane sums, and what they were counted with. */
interface Summed {
  readonly lanes: Uint32Array;
  readonly inputs: number;
  readonly context: Uint8Array;
  readonly quantiser: Quantiser;
  readonly format: LaneFormat;
  readonly cohort: NoisyCohort;
}

interface OpenedMean extends DequantisedMean {
  /** The noisy share of clip bits that say yes; null where there are none. */
  readonly within: number | null;
}

function meanOf(
  { lanes, inputs, context, quantiser, format, cohort }: Summed,
  { protection, secret }: Pick<OpeningInput, 'protection' | 'secret'>,
  layout: Layout,
): OpenedMean | undefined {
  if (protection.kind === 'clear' || protection.privacy === null) {
    const plain = dequantise(lanes, inputs, quantiser, format);
    return plain && { ...plain, within: null };
  }
  const plan = noisePlan(protection, protection.privacy, cohort, layout.size);
  const mean = openNoisyMean(plan, protection.privacy, context, lanes, inputs, format, secret);
  return mean && { ...withoutClipBit(protection.privacy, mean), weight: inputs };
}

/** Masked inputs are summed as they are, one in memory at a time; then the masks that did not cancel come off the sum. */
async function openMasks(order: Extract<OpenOrder, { kind: 'masks' }>): Promise<Summed | undefined> {
  const session = decodeSession(order.session);
  const context = contextOf(session);
  const sum = maskOf(session).sum();
  for (const digest of order.inputs) {
    const { payload } = decodeMaskedInput(context, await updates.get(digest));
    if (!sum.add(payload)) throw new Error(`the admitted input ${digest} is no masked vector any more`);
  }
  const lanes = sum.open(order.masks);
  return lanes && { lanes, inputs: sum.inputs, context, ...countedWith(session, lanesOf(session)) };
}

/** The coordinator's shares are summed, one in memory at a time, upon the aggregator's sum of the others. */
async function openShared({
  session: encoded,
  inputs,
  sum,
}: Extract<OpenOrder, { kind: 'shares' }>): Promise<Summed | undefined> {
  const session = decodeSharesSession(encoded);
  const asked = inputs.map(({ member }) => member);
  const opening = openShares(session, asked, await updates.get(sum));
  for (const { member, digest } of inputs) opening.add(member, await updates.get(digest));
  const lanes = opening.open();
  const context = sharesContextOf(session);
  return lanes && { lanes, inputs: opening.inputs, context, ...countedWith(session, sharesLanesOf(session)) };
}

function countedWith(
  { quantiser, cohort, minimumSurvivors }: Pick<Session, 'quantiser' | 'cohort' | 'minimumSurvivors'>,
  format: LaneFormat,
): Pick<Summed, 'quantiser' | 'format' | 'cohort'> {
  return { quantiser, format, cohort: { clients: cohort.length, minimumSurvivors } };
}

async function aggregate(input: AggregationInput): Promise<Result> {
  const layout = layoutOf(input.tensors);
  const { mean, weight, within, state } = await meanIn(input, layout);
  // The state first: weights that are there without it would be of a step that nothing can follow.
  const noiseState = state === null ? null : await updates.put(state);
  return { weights: await publishable(input, layout, mean), examples: weight, noiseState, within };
}

interface Mean extends OpenedMean {
  /** Of correlated noise, after the step. */
  readonly state: Uint8Array | null;
}

async function meanIn(input: AggregationInput, layout: Layout): Promise<Mean> {
  if (input.noiseState !== undefined) return matrixMean(input, layout, input.noiseState);
  const mean = await (input.secret === null ? plainMean(input, layout) : centralMean(input, layout));
  return { ...mean, state: null };
}

/** Weighted by examples; by nothing where each update has noise of its own. */
async function plainMean(input: AggregationInput, layout: Layout): Promise<OpenedMean> {
  const sum = new WeightedSum(layout.size);
  for await (const { delta, examples } of updatesOf(input, layout)) sum.accumulate(delta, examples);
  return { mean: sum.mean(), weight: sum.weight, within: null };
}

/** A sum of integers, with the coordinator's noise on it before it is anything else. */
async function centralMean(input: AggregationInput, layout: Layout): Promise<OpenedMean> {
  const { privacy } = input.protection;
  const plan = clearNoisePlan(input.protection, layout.size);
  if (!plan || !privacy || input.secret === null) throw new Error('a secret, but no noise to draw');
  const sum = new CentrallyNoisyMean(plan, privacy);
  for await (const { delta } of updatesOf(input, layout)) sum.add(delta);
  return { ...withoutClipBit(privacy, sum.open(input.secret, input.over ?? sum.count)), weight: sum.count };
}

/** A step of noise that is correlated over rounds. */
async function matrixMean(input: AggregationInput, layout: Layout, before: Digest | null): Promise<Mean> {
  const { protection, secret, over } = input;
  const plan = protection.privacy && matrixPlanOf(protection.privacy, layout.size);
  if (!plan || !protection.privacy || secret === null || over === null)
    throw new Error('a state of noise, but no step to take from it');
  const sum = new MatrixNoisySum(plan, protection.privacy);
  for await (const { delta } of updatesOf(input, layout)) sum.add(delta);
  const { mean, state } = sum.open(before === null ? null : await updates.get(before), secret, over);
  return { mean: Float64Array.from(mean), weight: sum.count, within: null, state };
}

/** One in memory at a time, in the order given, which is that of the client ids. */
async function* updatesOf(input: AggregationInput, layout: Layout): AsyncGenerator<ClearUpdate> {
  const { round, base, maxExamples } = input;
  const expected = { round, base, layout, maxExamples, privacy: input.protection.privacy ?? null };
  for (const digest of input.updates) {
    const verdict = judgeClearUpdate(await updates.get(digest), expected);
    if (verdict.kind === 'refused') throw new Error(`the admitted update ${digest} no longer passes: ${verdict.why}`);
    yield verdict.update;
  }
}

/** The server's step from the base, as a durable blob. */
async function publishable(
  { base: digest, strategy }: Pick<AggregationInput, 'base' | 'strategy'>,
  layout: Layout,
  mean: Float64Array,
): Promise<Digest> {
  const base = await models.get(digest);
  const next = serverStep(strategy, layout, new Float32Array(base.buffer, base.byteOffset, layout.size), mean);
  return models.put(new Uint8Array(next.buffer, next.byteOffset, next.byteLength));
}
