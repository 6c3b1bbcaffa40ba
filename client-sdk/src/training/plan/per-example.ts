/**
 * Gradients clipped example by example and summed (Abadi et al. 2016, algorithm 1, without the noise). One pass backwards gives every
 * example's part at once; norms are taken where a weight meets the batch, without an example's gradient of a dense kernel ever being
 * written out (Goodfellow 2015); then the parts are scaled and each weight's gradient is computed as usual.
 */
import { unsupported } from './config.ts';
import { accumulated, inputGradients, propagate } from './gradients.ts';
import type { Graph } from './graph.ts';
import { sizeOf } from './operators.ts';
import type { OperatorKind, Shape, Value } from './operators.ts';
import type { Topology } from './topology.ts';

/** A weight, or the part of it that a layer cuts out: parts of one weight do not overlap. */
interface Tile {
  readonly weight: Value;
  /** Null for the whole weight, as it is or reshaped. */
  readonly begin: readonly number[] | null;
  readonly shape: Shape;
}

/** Where a tile is used. */
interface Site {
  readonly tile: Tile;
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
  const groups = byTile(sitesOf(graph, total, weights));
  const squares = groups.map((sites) => squaredNorms(graph, sites, batch));
  const sum = squares.reduce((a, b) => graph.add(a, b));
  const norms = graph.unary('sqrt', graph.offset(sum, TINY));
  const scale = graph.binary('minimum', graph.divide(graph.constant(limit), norms), graph.constant(1));
  const share = graph.scale(scale, 1 / batch);
  return weights.map((weight) => {
    const own = groups.filter(([first]) => first.tile.weight === weight);
    if (own.length === 0) return graph.constant(0, weight.shape);
    const parts = own.map((sites) => {
      const part = accumulated(
        graph,
        sites.map((site) => scaledGradient(graph, site, share, batch)),
      );
      const { begin } = sites[0].tile;
      return begin === null ? graph.reshape(part, weight.shape) : graph.pad(part, begin, weight.shape);
    });
    return accumulated(graph, parts);
  });
}

type Group = readonly [Site, ...Site[]];

/** @throws ClientError `MODEL_UNSUPPORTED` when parts of a weight overlap: their gradients would count twice */
function byTile(sites: readonly Site[]): Group[] {
  const groups = new Map<string, [Site, ...Site[]]>();
  for (const site of sites) {
    const { weight, begin, shape } = site.tile;
    const key = `${weight.id} ${begin?.join() ?? 'whole'} ${begin === null ? '' : shape.join()}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [site]);
    else group.push(site);
  }
  const tiles = [...groups.values()].map(([{ tile }]) => tile);
  for (const [at, a] of tiles.entries())
    if (tiles.slice(at + 1).some((b) => b.weight === a.weight && overlap(a, b)))
      throw unsupported('a weight of which parts are used that overlap has no per-example gradients here');
  return [...groups.values()];
}

function overlap(a: Tile, b: Tile): boolean {
  if (a.begin === null || b.begin === null) return true;
  const [from, to] = [a.begin, b.begin];
  return from.every((start, axis) => start < to[axis]! + b.shape[axis]! && to[axis]! < start + a.shape[axis]!);
}

function sitesOf(graph: Graph, total: Value, weights: readonly Value[]): Site[] {
  const seen = new Map<Value, Tile>(weights.map((weight) => [weight, { weight, begin: null, shape: weight.shape }]));
  for (const value of graph.values) {
    const from = value.inputs[0] && seen.get(value.inputs[0]);
    if (from === undefined) continue;
    const { operator, shape } = value;
    if (operator.kind === 'reshape' && from.begin === null) seen.set(value, { ...from, shape });
    if (operator.kind === 'slice' && value.inputs[0] === from.weight)
      seen.set(value, { weight: from.weight, begin: operator.begin, shape });
  }
  const sites: Site[] = [];
  propagate(graph, total, weights, (user, by) => {
    if (seen.has(user)) return;
    user.inputs.forEach((input, at) => {
      const tile = seen.get(input);
      if (tile !== undefined) sites.push({ tile, user, at, by });
    });
  });
  return sites;
}

/** [batch, 1] */
function squaredNorms(graph: Graph, sites: Group, batch: number): Value {
  if (sites.every(isProduct)) return ofProducts(graph, sites, batch);
  const [site, ...more] = sites;
  if (more.length > 0) throw unsupported('a weight that is used twice has no per-example gradients here');
  const { user, at, by } = site;
  const { kind } = user.operator;
  if (kind === 'binary' && by.shape[0]! % batch === 0) return ofElements(graph, site, batch);
  if (at === 1 && WINDOWED.has(kind)) return ofWindows(graph, site, batch);
  if (kind === 'gather') return ofRows(graph, user.inputs[1]!, by, batch);
  throw unsupported(`no per-example gradients for a weight in ${kind}`);
}

const WINDOWED: ReadonlySet<OperatorKind> = new Set(['convolution', 'convolution-input', 'depthwise']);

/** x W. */
function isProduct({ user, at }: Site): boolean {
  const { operator, shape } = user;
  return operator.kind === 'matmul' && at === 1 && !operator.transposeA && shape.length === 2;
}

function rowSum(graph: Graph, x: Value, batch: number): Value {
  return graph.sum(graph.reshape(x, [batch, sizeOf(x.shape) / batch]), [1]);
}

function square(graph: Graph, x: Value): Value {
  return graph.multiply(x, x);
}

/**
 * An example meets the weight with the rows of all sites: several in a row of positions, one a step of a recurrent layer.
 * |x dy^T|^2 = |x|^2 |dy|^2 for one row; for several the products of the rows among themselves, or the gradient written out,
 * whichever is less to compute.
 */
function ofProducts(graph: Graph, sites: Group, batch: number): Value {
  const rows = (of: (site: Site) => Value): Value =>
    graph.concat(
      sites.map((site) => {
        const value = of(site);
        return graph.reshape(value, [batch, value.shape[0]! / batch, value.shape[1]!]);
      }),
      1,
    );
  const [x, by] = [rows(({ user }) => user.inputs[0]!), rows((site) => site.by)];
  const [, positions, width] = x.shape as [number, number, number];
  const columns = by.shape[2]!;
  if (positions === 1)
    return graph.multiply(rowSum(graph, square(graph, x), batch), rowSum(graph, square(graph, by), batch));
  if (positions * (width + columns) > width * columns)
    return rowSum(graph, square(graph, graph.matmul(x, by, { transposeA: true })), batch);
  const among = (value: Value): Value => graph.matmul(value, value, { transposeB: true });
  return rowSum(graph, graph.multiply(among(x), among(by)), batch);
}

/** A bias, or a scale: what it gets from an example is summed over where it repeats, and over the example's rows. */
function ofElements(graph: Graph, { user, at, by }: Site, batch: number): Value {
  const { shape } = user.inputs[at]!;
  if (shape[0] !== 1) throw unsupported('no per-example gradients for a weight as large as the batch');
  const each = user.inputs.map((input, place) => (place === at ? graph.broadcast(input, user.shape) : input));
  const whole = inputGradients(graph, { ...user, inputs: each }, by)[at]!;
  const repeated = shape.flatMap((length, axis) => (axis > 0 && length === 1 && user.shape[axis] !== 1 ? [axis] : []));
  const summed = graph.sum(whole, repeated);
  const positions = user.shape[0]! / batch;
  const rows = graph.reshape(summed, [batch, positions, sizeOf(summed.shape) / user.shape[0]!]);
  return rowSum(graph, square(graph, graph.sum(rows, [1])), batch);
}

/** The filter's gradient of each example by itself. */
function ofWindows(graph: Graph, { user, at, by }: Site, batch: number): Value {
  const [x, filter] = user.inputs as [Value, Value];
  const one = (value: Value, example: number): Value =>
    graph.slice(value, [example, 0, 0, 0], [1, ...value.shape.slice(1)]);
  const norms = Array.from({ length: batch }, (_value, example) => {
    const own = one(by, example);
    const gradient = inputGradients(graph, { ...user, inputs: [one(x, example), filter], shape: own.shape }, own)[at]!;
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

/** @throws ClientError `MODEL_UNSUPPORTED` for a layer in which examples meet */
export function refusePerExample({ layers }: Topology): void {
  for (const { className, config, model } of layers) {
    if (className === 'BatchNormalization')
      throw unsupported(`${config.label} has no per-example gradients: its statistics are those of the whole batch`);
    if (model !== null) refusePerExample(model);
  }
}
