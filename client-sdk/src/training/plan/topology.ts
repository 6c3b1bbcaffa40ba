/** A layers model's JSON as layers and the calls between them, in the order in which TensorFlow.js keeps its layers. */
import { LayerConfig, unsupported } from './config.ts';
import type { Json } from './config.ts';

export interface Layer {
  readonly name: string;
  readonly className: string;
  readonly config: LayerConfig;
  readonly trainable: boolean;
  /** Of a model within the model. */
  readonly model: Topology | null;
}

/** Where a tensor comes from: the output of this index of the call of this index of a layer. */
export interface Source {
  readonly layer: string;
  readonly call: number;
  readonly output: number;
}

export interface Topology {
  /** In `LayersModel.layers` order, which is the order of weights. */
  readonly layers: readonly Layer[];
  /** Each call of each layer, in an order in which what it needs comes first. */
  readonly calls: readonly { readonly layer: Layer; readonly call: number; readonly from: readonly Source[] }[];
  /** Names of input layers, with their shapes without the batch. */
  readonly inputs: readonly { readonly layer: string; readonly shape: readonly number[] }[];
  readonly outputs: readonly Source[];
}

/** @throws ClientError `MODEL_UNSUPPORTED` */
export function parseTopology(text: string): Topology {
  const json = JSON.parse(text) as Json;
  const model = (json['model_config'] ?? json) as Json;
  return typeof model['class_name'] === 'string' ? modelOf(model) : fail('the topology is not that of a layers model');
}

const FUNCTIONAL = new Set(['Model', 'Functional']);

function modelOf(json: Json): Topology {
  const className = String(json['class_name']);
  const config = json['config'] as Json | readonly Json[];
  if (className === 'Sequential')
    return sequential(Array.isArray(config) ? config : ((config as Json)['layers'] as Json[]));
  if (FUNCTIONAL.has(className)) return functional(config as Json);
  return fail(`the model is a ${className}`);
}

function layerOf(json: Json): Layer {
  const className = String(json['class_name']);
  const settings = json['config'] as Json;
  const given = settings['name'] ?? json['name'];
  const name = typeof given === 'string' ? given : className;
  const nested = className === 'Sequential' || FUNCTIONAL.has(className);
  return {
    name,
    className,
    config: new LayerConfig(settings, `${className} ${name}`),
    trainable: settings['trainable'] !== false,
    model: nested ? modelOf(json) : null,
  };
}

/** A chain. The first layer carries the input's shape, or is an input layer or a model. */
function sequential(list: readonly Json[]): Topology {
  const layers = list.map(layerOf);
  const [first] = layers;
  if (first === undefined) return fail('the model has no layers');
  const shape = first.model?.inputs[0]?.shape ?? inputShape(first);
  const opened = first.className === 'InputLayer' ? layers : [inputLayer(`${first.name}_input`, shape), ...layers];
  const calls = opened.map((layer, at) => ({
    layer,
    call: 0,
    from: at === 0 ? [] : [{ layer: opened[at - 1]!.name, call: 0, output: 0 }],
  }));
  return {
    layers,
    calls,
    inputs: [{ layer: opened[0]!.name, shape }],
    outputs: [{ layer: opened.at(-1).name, call: 0, output: 0 }],
  };
}

function inputLayer(name: string, shape: readonly number[]): Layer {
  const config = new LayerConfig({ batch_input_shape: [null, ...shape] }, `InputLayer ${name}`);
  return { name, className: 'InputLayer', config, trainable: true, model: null };
}

function inputShape({ config }: Layer): number[] {
  const [, ...shape] = (config.raw('batch_input_shape') ?? config.raw('batch_shape') ?? []) as (number | null)[];
  if (!config.has('batch_input_shape') && !config.has('batch_shape'))
    throw unsupported(`${config.label} does not say the shape of its input`);
  if (shape.some((length) => typeof length !== 'number'))
    throw unsupported(`${config.label} has the open shape [${shape.map((length) => length ?? 'null').join(', ')}]`);
  return shape as number[];
}

interface Call {
  readonly layer: Layer;
  readonly call: number;
  readonly from: readonly Source[];
}

function functional(config: Json): Topology {
  const list = config['layers'] as Json[];
  const layers = list.map(layerOf);
  const calls = new Map<string, Call>();
  list.forEach((json, at) => {
    const layer = layers[at]!;
    const inbound = (json['inbound_nodes'] ?? []) as unknown[];
    if (inbound.length === 0) calls.set(key(layer.name, 0), { layer, call: 0, from: [] });
    inbound.forEach((node, call) =>
      calls.set(key(layer.name, call), { layer, call, from: counted(sourcesOf(node, layer), layers) }),
    );
  });
  const outputs = counted(tensors(config['output_layers']), layers);
  const { ordered, layerOrder } = arranged(calls, outputs);
  const inputs = tensors(config['input_layers']).map(({ layer }) => {
    const opened = layers.find(({ name }) => name === layer) ?? fail(`there is no layer ${layer}`);
    return { layer, shape: inputShape(opened) };
  });
  return { layers: layerOrder, calls: ordered, inputs, outputs };
}

function key(layer: string, call: number): string {
  return `${call} ${layer}`;
}

function tensors(list: unknown): Source[] {
  const rows = (Array.isArray(list) && typeof list[0] === 'string' ? [list] : list) as [string, number, number][];
  return rows.map(([layer, call, output]) => ({ layer, call, output }));
}

/** A model within the model counts its own making as its first call. */
function counted(sources: readonly Source[], layers: readonly Layer[]): Source[] {
  const models = new Set(layers.filter(({ model }) => model !== null).map(({ name }) => name));
  return sources.map((source) =>
    models.has(source.layer) ? { ...source, call: Math.max(0, source.call - 1) } : source,
  );
}

function sourcesOf(node: unknown, { config }: Layer): Source[] {
  if (!Array.isArray(node)) throw unsupported(`${config.label} is called in the manner of Keras 3`);
  return (node as [string, number, number, Json?][]).map(([layer, call, output, extra]) => {
    if (extra !== undefined && extra !== null && Object.keys(extra).length > 0)
      throw unsupported(`${config.label} is called with arguments`);
    return { layer, call, output };
  });
}

/**
 * Calls by falling distance from the outputs, and layers in the order in which TensorFlow.js keeps them: by falling distance, at the
 * same distance as met when the graph is walked backwards from the outputs.
 */
function arranged(
  calls: ReadonlyMap<string, Call>,
  outputs: readonly Source[],
): { ordered: Call[]; layerOrder: Layer[] } {
  const met = new Map<Layer, number>();
  const finished: Call[] = [];
  const walk = ({ layer, call }: Source): void => {
    const found = calls.get(key(layer, call)) ?? fail(`there is no call ${call} of layer ${layer}`);
    if (finished.includes(found)) return;
    if (!met.has(found.layer)) met.set(found.layer, met.size);
    found.from.forEach(walk);
    finished.push(found);
  };
  outputs.forEach(walk);
  const depths = new Map<Call, number>();
  const layerDepths = new Map<Layer, number>();
  for (const call of finished.toReversed()) {
    const depth = Math.max(depths.get(call) ?? 0, layerDepths.get(call.layer) ?? 0);
    layerDepths.set(call.layer, depth);
    depths.set(call, depth);
    for (const source of call.from) {
      const before = calls.get(key(source.layer, source.call))!;
      depths.set(before, Math.max(depth + 1, depths.get(before) ?? 0));
    }
  }
  const layerOrder = [...layerDepths.keys()].sort(
    (a, b) => layerDepths.get(b)! - layerDepths.get(a)! || met.get(a)! - met.get(b)!,
  );
  return { ordered: finished, layerOrder };
}

function fail(why: string): never {
  throw unsupported(why);
}
