/** The graph of a model: each call of each layer by its rule, with the weights in `getWeights()` order. */
import { unsupported } from './config.ts';
import { Graph } from './graph.ts';
import { LAYERS } from './layers/index.ts';
import type { LayerCall } from './layers/layer.ts';
import type { Shape, Value } from './operators.ts';
import type { Layer, Topology } from './topology.ts';

export interface ModelWeight {
  readonly value: Value;
  readonly name: string;
  readonly trainable: boolean;
}

export interface ModelGraph {
  readonly graph: Graph;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** In `getWeights()` order: trainable ones first. Parameter `index` is the place of its value among these. */
  readonly weights: readonly ModelWeight[];
  readonly assigned: ReadonlyMap<Value, Value>;
  readonly penalties: readonly Value[];
}

interface Asked extends ModelWeight {
  /** Places of the layer in the model, and in models within it. */
  readonly place: readonly number[];
}

interface Building {
  readonly graph: Graph;
  readonly training: boolean;
  readonly perExample: boolean;
  readonly asked: Asked[];
  readonly byLayer: Map<Layer, Value[]>;
  readonly assigned: Map<Value, Value>;
  readonly penalties: Value[];
}

/** @throws ClientError `MODEL_UNSUPPORTED`, naming the layer */
export function buildModel(topology: Topology, batch: number, training: boolean, perExample = false): ModelGraph {
  const graph = new Graph();
  const inputs = topology.inputs.map(({ shape }, index) => graph.feature(index, [batch, ...shape]));
  const building: Building = {
    graph,
    training,
    perExample,
    asked: [],
    byLayer: new Map(),
    assigned: new Map(),
    penalties: [],
  };
  const outputs = applyModel(building, topology, inputs, []);
  const { assigned, penalties } = building;
  return { graph, inputs, outputs, weights: inOrder(building.asked), assigned, penalties };
}

function inOrder(asked: readonly Asked[]): ModelWeight[] {
  const byPlace = asked.toSorted((a, b) => comparePlaces(a.place, b.place));
  return [...byPlace.filter(({ trainable }) => trainable), ...byPlace.filter(({ trainable }) => !trainable)];
}

function comparePlaces(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((place, index) => place !== b[index]);
  return at < 0 ? 0 : a[at]! - (b[at] ?? 0);
}

function applyModel(
  building: Building,
  { layers, calls, inputs: entries, outputs }: Topology,
  inputs: readonly Value[],
  place: readonly number[],
): Value[] {
  const known = new Map<string, readonly Value[]>();
  const opened = new Map(entries.map(({ layer }, at) => [layer, inputs[at]!]));
  for (const { layer, call, from } of calls) {
    const given = from.map((source) => known.get(`${source.call} ${source.layer}`)![source.output]!);
    const entry = opened.get(layer.name);
    const made = entry === undefined ? applyLayer(building, layer, given, [...place, layers.indexOf(layer)]) : [entry];
    known.set(`${call} ${layer.name}`, made);
  }
  return outputs.map(({ layer, call, output }) => known.get(`${call} ${layer}`)![output]!);
}

function applyLayer(
  building: Building,
  layer: Layer,
  inputs: readonly Value[],
  place: readonly number[],
): readonly Value[] {
  if (layer.model !== null) {
    if (!layer.trainable) throw unsupported(`${layer.config.label} is frozen as a whole`);
    return applyModel(building, layer.model, inputs, place);
  }
  const rule = LAYERS[layer.className];
  if (rule === undefined) throw unsupported(`${layer.config.label} is a layer that is not compiled`);
  return rule(layerCall(building, layer, inputs, place));
}

function layerCall(
  { graph, training, perExample, asked, byLayer, assigned, penalties }: Building,
  layer: Layer,
  inputs: readonly Value[],
  place: readonly number[],
): LayerCall {
  const kept = byLayer.get(layer) ?? [];
  const first = !byLayer.has(layer);
  byLayer.set(layer, kept);
  let next = 0;
  return {
    graph,
    config: layer.config,
    inputs,
    training,
    perExample,
    weight: (name: string, shape: Shape, trainable = true) => {
      const at = next++;
      const shared = kept[at];
      if (shared !== undefined) return shared;
      const value = graph.parameter(asked.length, shape);
      kept.push(value);
      asked.push({
        value,
        name: `${layer.name}/${name}`,
        trainable: trainable && layer.trainable,
        place: [...place, at],
      });
      return value;
    },
    assign: (weight, value) => void assigned.set(weight, value),
    penalise: (penalty) => {
      // A layer that is called twice has its weights once.
      if (first) penalties.push(penalty);
    },
  };
}
