/**
 * Recurrent layers, unrolled over time. What the input contributes to all steps is one product, steps lie one after the other in
 * memory, and the recurrent kernel's gradient is one product over all steps (`gradients.ts`).
 */
import { LayerConfig, unsupported } from '../config.ts';
import type { Json } from '../config.ts';
import type { Graph } from '../graph.ts';
import type { Value } from '../operators.ts';
import { activate } from './activations.ts';
import { only } from './layer.ts';
import type { LayerCall, LayerRule } from './layer.ts';
import { penalise } from './regularisers.ts';

interface Cell {
  /** How many times `units` columns the kernels have. */
  readonly gates: number;
  /** The states after a step, the output first; null for states that are all zero yet. */
  readonly step: (site: CellSite, input: Value, states: readonly Value[] | null) => readonly Value[];
}

interface CellSite {
  readonly graph: Graph;
  readonly kernel: Value;
  readonly units: number;
  readonly activate: (x: Value) => Value;
  readonly gate: (x: Value) => Value;
  readonly dropped: (state: Value) => Value;
}

/** Columns [from, from + count) times `units`. */
function columns({ graph, units }: CellSite, x: Value, from: number, count = 1): Value {
  return graph.slice(x, [0, from * units], [x.shape[0]!, count * units]);
}

function recurred(site: CellSite, input: Value, state: Value | undefined, kernel: Value = site.kernel): Value {
  return state === undefined ? input : site.graph.add(input, site.graph.matmul(site.dropped(state), kernel));
}

const simple: Cell = {
  gates: 1,
  step: (site, input, states) => [site.activate(recurred(site, input, states?.[0]))],
};

/** Cho et al. 2014: update and reset gates; the reset comes before the recurrent product. */
const gru: Cell = {
  gates: 3,
  step: (site, input, states) => {
    const { graph } = site;
    const h = states?.[0] && site.dropped(states[0]);
    const plain = { ...site, dropped: (state: Value) => state };
    const gates = recurred(plain, columns(site, input, 0, 2), h, columns(site, site.kernel, 0, 2));
    const active = site.gate(gates);
    const [update, reset] = [columns(site, active, 0), columns(site, active, 1)];
    const past = h && graph.multiply(reset, h);
    const fresh = site.activate(recurred(plain, columns(site, input, 2), past, columns(site, site.kernel, 2)));
    const taken = graph.multiply(graph.subtract(graph.constant(1), update), fresh);
    return [h === undefined ? taken : graph.add(graph.multiply(update, h), taken)];
  },
};

/** Hochreiter and Schmidhuber 1997, with forget gate: input, forget, cell, output. */
const lstm: Cell = {
  gates: 4,
  step: (site, input, states) => {
    const { graph } = site;
    const z = recurred(site, input, states?.[0]);
    const early = site.gate(columns(site, z, 0, 2));
    const [i, f] = [columns(site, early, 0), columns(site, early, 1)];
    const fresh = graph.multiply(i, site.activate(columns(site, z, 2)));
    const c = states === null ? fresh : graph.add(graph.multiply(f, states[1]!), fresh);
    return [graph.multiply(site.gate(columns(site, z, 3)), site.activate(c)), c];
  },
};

const CELLS: Readonly<Record<string, Cell>> = { SimpleRNN: simple, GRU: gru, LSTM: lstm };

/** [batch, time, width] as [time, batch, width]. */
function timeFirst(graph: Graph, x: Value): Value {
  return graph.transpose(x, [1, 0, 2]);
}

function refuse(config: LayerConfig): void {
  config.refuse('stateful', 'states that outlive a batch');
  config.refuse('return_state', 'its state as an output');
  config.refuse('reset_after', 'its reset gate after the product');
  for (const key of ['kernel', 'recurrent', 'bias']) config.refuse(`${key}_constraint`, `a constraint on its ${key}`);
}

/** In training a mask over all steps; x as it is otherwise. */
function dropout({ graph, training }: LayerCall, rate: number, shape: readonly number[]): ((x: Value) => Value) | null {
  if (!training || rate === 0) return null;
  const kept = graph.unary('step', graph.subtract(graph.uniform(shape), graph.constant(rate)));
  const mask = graph.scale(kept, 1 / (1 - rate));
  return (x) => graph.multiply(x, mask);
}

/** Outputs of each step, in the order in which they are computed. */
function unrolled(call: LayerCall, cell: Cell, x: Value): Value[] {
  const { graph, config } = call;
  refuse(config);
  const [batch, time, width] = x.shape as [number, number, number];
  const units = config.number('units');
  const kernel = call.weight('kernel', [width, cell.gates * units]);
  const recurrent = call.weight('recurrent_kernel', [units, cell.gates * units]);
  penalise(call, 'kernel_regularizer', kernel);
  penalise(call, 'recurrent_regularizer', recurrent);
  const masked = dropout(call, config.number('dropout', 0), [batch, 1, width])?.(x) ?? x;
  const inputs = contributions(call, masked, kernel);
  const site: CellSite = {
    graph,
    kernel: recurrent,
    units,
    activate: (value) => activate(graph, config.activation('activation', 'tanh'), value, config.label),
    gate: (value) => activate(graph, config.activation('recurrent_activation', 'hard_sigmoid'), value, config.label),
    dropped: dropout(call, config.number('recurrent_dropout', 0), [batch, units]) ?? ((state) => state),
  };
  const backwards = config.flag('go_backwards', false);
  const outputs: Value[] = [];
  let states: readonly Value[] | null = null;
  for (let t = 0; t < time; t++) {
    states = cell.step(site, graph.at(inputs, 0, backwards ? time - 1 - t : t), states);
    outputs.push(states[0]!);
  }
  return outputs;
}

/** What the input adds to every step, [time, batch, columns of the kernel]. */
function contributions(call: LayerCall, x: Value, kernel: Value): Value {
  const { graph } = call;
  const [batch, time, width] = x.shape as [number, number, number];
  const columns = kernel.shape[1]!;
  const product = (ordered: Value): Value =>
    withBias(call, graph.matmul(graph.reshape(ordered, [time * batch, width]), kernel));
  if (call.perExample) return timeFirst(graph, graph.reshape(product(x), [batch, time, columns]));
  return graph.reshape(product(timeFirst(graph, x)), [time, batch, columns]);
}

function withBias(call: LayerCall, x: Value): Value {
  if (!call.config.flag('use_bias', true)) return x;
  const bias = call.weight('bias', [x.shape[1]!]);
  penalise(call, 'bias_regularizer', bias);
  return call.graph.add(x, bias);
}

/** The last output, or all as [batch, time, units]. */
function gathered({ graph, config }: LayerCall, outputs: readonly Value[], reversed = false): Value {
  if (!config.flag('return_sequences', false)) return outputs.at(-1)!;
  const ordered = reversed ? outputs.toReversed() : outputs;
  const rows = ordered.map((output) => graph.reshape(output, [1, ...output.shape]));
  return timeFirst(graph, graph.concat(rows, 0));
}

function recurrent(cell: Cell): LayerRule {
  return (call) => [gathered(call, unrolled(call, cell, only(call)))];
}

const MERGES: Readonly<Record<string, (graph: Graph, a: Value, b: Value) => Value>> = {
  concat: (graph, a, b) => graph.concat([a, b], a.shape.length - 1),
  sum: (graph, a, b) => graph.add(a, b),
  mul: (graph, a, b) => graph.multiply(a, b),
  ave: (graph, a, b) => graph.scale(graph.add(a, b), 0.5),
};

/** Schuster and Paliwal 1997: one layer from the front, one like it from the back. */
const Bidirectional: LayerRule = (call) => {
  const { config, graph } = call;
  const inner = config.raw('layer') as { class_name?: string; config?: Json };
  const cell = CELLS[String(inner.class_name)];
  const merge = MERGES[config.text('merge_mode', 'concat')];
  if (cell === undefined || merge === undefined)
    throw unsupported(
      `${config.label} is of ${String(inner.class_name)}, joined by ${String(config.raw('merge_mode'))}`,
    );
  if (inner.config?.['go_backwards'] === true) throw unsupported(`${config.label} begins at the back`);
  const side = (backwards: boolean): Value => {
    const own = new LayerConfig({ ...inner.config, go_backwards: backwards }, config.label);
    const half = { ...call, config: own };
    return gathered(half, unrolled(half, cell, only(call)), backwards);
  };
  return [merge(graph, side(false), side(true))];
};

export const recurrentLayers: Readonly<Record<string, LayerRule>> = {
  SimpleRNN: recurrent(simple),
  GRU: recurrent(gru),
  LSTM: recurrent(lstm),
  Bidirectional,
};
