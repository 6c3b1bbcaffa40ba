import type { Graph } from '../graph.ts';
import type { Value } from '../operators.ts';
import type { LayerRule } from './layer.ts';

function merging(join: (graph: Graph, a: Value, b: Value) => Value): LayerRule {
  return ({ graph, inputs }) => [inputs.reduce((a, b) => join(graph, a, b))];
}

export const mergingLayers: Readonly<Record<string, LayerRule>> = {
  Add: merging((graph, a, b) => graph.add(a, b)),
  Multiply: merging((graph, a, b) => graph.multiply(a, b)),
  Maximum: merging((graph, a, b) => graph.binary('maximum', a, b)),
  Minimum: merging((graph, a, b) => graph.binary('minimum', a, b)),
  Average: ({ graph, inputs }) => [
    graph.scale(
      inputs.reduce((a, b) => graph.add(a, b)),
      1 / inputs.length,
    ),
  ],
};
