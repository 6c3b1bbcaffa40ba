/**
 * Gradients clipped example by example and summed (Abadi et al. 2016, algorithm 1, without the noise). One pass backwards gives every
 * example's part at once; norms are taken where a weight meets the batch, without an example's gradient of a dense kernel ever being
 * written out (Goodfellow 2015); then the parts are scaled and each weight's gradient is computed as usual.
 */
import { unsupported } from './config.ts';
import { inputGradients, propagate } from './gradients.ts';
import type { Graph } from './graph.ts';
import { sizeOf } from './operators.ts';
import type { Value } from './operators.ts';

/** Where a weight, or a reshape of it, is used. */
interface Site {
  readonly weight: Value;
  readonly user: Value;
  /** Which input of the user it is. */
  readonly at: number;
  readonly by: Value;
}

/** A little above zero, so that an example without a gradient has a norm that can be divided by. */
const TINY = 1e-24;

/**
 * Of `total`, a sum over examples, by the weights: the mean over examples of their gradients, each scaled down to `limit`.
 * @throws ClientError `MODEL_UNSUPPORTED` where an example's part of a weight's gradient cannot be told
 */
export function clippedGradients(
  graph: Graph,
  total: Value,
  weights: readonly Value[],
  batch: number,
  limit: number,
): Value[] {
  const sites = sitesOf(graph, total, weights);
  const squares = sites.map((site) => squaredNorms(graph, site, batch));
  const sum = squares.reduce((a, b) => graph.add(a, b));
  const norms = graph.unary('sqrt', graph.offset(sum, TINY));
  const scale = graph.binary('minimum', graph.divide(graph.constant(limit), norms), graph.constant(1));
  const share = graph.scale(scale, 1 / batch);
  return weights.map((weight) => {
    const parts = sites
      .filter((site) => site.weight === weight)
      .map((site) => scaledGradient(graph, site, share, batch));
    return parts.length === 0 ? graph.constant(0, weight.shape) : graph.reshape(parts[0]!, weight.shape);
  });
}

function sitesOf(graph: Graph, total: Value, weights: readonly Value[]): Site[] {
  const seen = new Map<Value, Value>(weights.map((weight) => [weight, weight]));
  for (const value of graph.values)
    if (value.operator.kind === 'reshape' && seen.has(value.inputs[0]!)) seen.set(value, seen.get(value.inputs[0]!)!);
  const sites: Site[] = [];
  propagate(graph, total, weights, (user, by) => {
    if (seen.has(user)) return;
    user.inputs.forEach((input, at) => {
      const weight = seen.get(input);
      if (weight === undefined) return;
      if (sites.some((site) => site.weight === weight))
        throw unsupported('a weight that is used twice has no per-example gradients here');
      sites.push({ weight, user, at, by });
    });
  });
  return sites;
}

/** [batch, 1] */
function squaredNorms(graph: Graph, site: Site, batch: number): Value {
  const { user, at, by } = site;
  const { kind } = user.operator;
  if (kind === 'matmul' && at === 1 && !user.operator.transposeA) return ofProduct(graph, user.inputs[0]!, by, batch);
  if (kind === 'binary' && by.shape[0] === batch) return ofElements(graph, site, batch);
  if (kind === 'convolution' && at === 1) return ofConvolution(graph, site, batch);
  if (kind === 'gather') return ofRows(graph, user.inputs[1]!, by, batch);
  throw unsupported(`no per-example gradients for a weight in ${kind}`);
}

function rowSum(graph: Graph, x: Value, batch: number): Value {
  return graph.sum(graph.reshape(x, [batch, sizeOf(x.shape) / batch]), [1]);
}

function square(graph: Graph, x: Value): Value {
  return graph.multiply(x, x);
}

/** |x dy^T|^2 = |x|^2 |dy|^2 for one row an example; for several the products of the rows among themselves. */
function ofProduct(graph: Graph, x: Value, by: Value, batch: number): Value {
  const positions = by.shape[0]! / batch;
  if (positions === 1)
    return graph.multiply(rowSum(graph, square(graph, x), batch), rowSum(graph, square(graph, by), batch));
  const among = (value: Value): Value => {
    const rows = graph.reshape(value, [batch, positions, value.shape[1]!]);
    return graph.matmul(rows, rows, { transposeB: true });
  };
  return rowSum(graph, graph.multiply(among(x), among(by)), batch);
}

/** A bias, or a scale: what it gets from an example is summed over where it repeats. */
function ofElements(graph: Graph, { user, at, by }: Site, batch: number): Value {
  const { shape } = user.inputs[at]!;
  if (shape[0] !== 1) throw unsupported('no per-example gradients for a weight as large as the batch');
  const each = user.inputs.map((input, place) => (place === at ? graph.broadcast(input, user.shape) : input));
  const whole = inputGradients(graph, { ...user, inputs: each }, by)[at]!;
  const repeated = shape.flatMap((length, axis) => (axis > 0 && length === 1 && user.shape[axis] !== 1 ? [axis] : []));
  return rowSum(graph, square(graph, graph.sum(whole, repeated)), batch);
}

/** The filter's gradient of each example by itself. */
function ofConvolution(graph: Graph, { user, by }: Site, batch: number): Value {
  const [x, filter] = user.inputs as [Value, Value];
  const one = (value: Value, example: number): Value =>
    graph.slice(value, [example, 0, 0, 0], [1, ...value.shape.slice(1)]);
  const norms = Array.from({ length: batch }, (_value, example) => {
    const pair = [one(x, example), one(by, example)];
    const { operator } = user;
    if (operator.kind !== 'convolution') throw new TypeError('only convolutions are asked for');
    const gradient = graph.push({ kind: 'convolution-filter', window: operator.window }, pair, filter.shape);
    return rowSum(graph, square(graph, gradient), 1);
  });
  return graph.concat(norms, 0);
}

/** Rows of a table: those of one index add up, so products count among positions of the same index. */
function ofRows(graph: Graph, indices: Value, by: Value, batch: number): Value {
  const positions = sizeOf(indices.shape) / batch;
  const rows = graph.reshape(by, [batch, positions, by.shape.at(-1)!]);
  const products = graph.matmul(rows, rows, { transposeB: true });
  const apart = graph.subtract(
    graph.reshape(indices, [batch, positions, 1]),
    graph.reshape(indices, [batch, 1, positions]),
  );
  const same = graph.subtract(graph.constant(1), graph.unary('step', graph.unary('abs', apart)));
  return rowSum(graph, graph.multiply(products, same), batch);
}

/** The weight's gradient with each example's part times its share. */
function scaledGradient(graph: Graph, { user, at, by }: Site, share: Value, batch: number): Value {
  const rows = by.shape[0]! / batch;
  const split = [batch, rows, ...by.shape.slice(1)];
  const beside = graph.reshape(
    share,
    split.map((length, axis) => (axis === 0 ? length : 1)),
  );
  const scaled = graph.reshape(graph.multiply(graph.reshape(by, split), beside), by.shape);
  return inputGradients(graph, user, scaled)[at]!;
}

/** Layers in which examples meet, or whose weights meet an example more than once. */
const JOINED: ReadonlySet<string> = new Set(['BatchNormalization', 'SimpleRNN', 'GRU', 'LSTM', 'Bidirectional']);

/** @throws ClientError `MODEL_UNSUPPORTED` */
export function refusePerExample(className: string, label: string): void {
  if (JOINED.has(className)) throw unsupported(`${label} has no per-example gradients here`);
}
