import { unsupported } from '../config.ts';
import type { Json } from '../config.ts';
import type { Value } from '../operators.ts';
import type { LayerCall } from './layer.ts';

/** l1 sum |w| + l2 sum w^2, added to the loss. @throws ClientError `MODEL_UNSUPPORTED` */
export function penalise(call: LayerCall, key: string, weight: Value): void {
  const { graph, config } = call;
  if (!config.has(key)) return;
  const { class_name: name, config: settings } = config.raw(key) as { class_name?: string; config?: Json };
  if (name !== 'L1L2' && name !== 'L1' && name !== 'L2')
    throw unsupported(`${config.label} has the ${key} ${String(name)}`);
  const axes = weight.shape.map((_length, axis) => axis);
  const total = (x: Value, by: unknown): void => {
    if (typeof by === 'number' && by !== 0) call.penalise(graph.reshape(graph.scale(graph.sum(x, axes), by), []));
  };
  total(graph.unary('abs', weight), settings?.['l1']);
  total(graph.multiply(weight, weight), settings?.['l2']);
}
