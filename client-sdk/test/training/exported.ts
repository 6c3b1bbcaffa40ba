/** A model as ONNX, run by ONNX Runtime beside TensorFlow.js. */
import type * as Tf from '@tensorflow/tfjs';
import type { InferenceSession } from 'onnxruntime-node';
import { exportOnnx } from '../../src/training/native/export.ts';
import type { ModelSpec } from '../../src/training/engine.ts';
import { sizeOf } from '../../src/training/plan/operators.ts';

export interface Outputs {
  readonly onnx: readonly Float32Array[];
  readonly tfjs: readonly Float32Array[];
}

type Runtime = typeof import('onnxruntime-node');

/** Of one file, for each of the batches; the weights are those that the tfjs model has. */
export async function exportedOutputs(
  { InferenceSession, Tensor }: Runtime,
  tf: typeof Tf,
  model: Tf.LayersModel,
  spec: ModelSpec,
  batches: readonly (readonly Float32Array[])[],
): Promise<{ readonly session: InferenceSession; readonly outputs: readonly Outputs[] }> {
  const weights = Float32Array.from(model.getWeights().flatMap((tensor) => [...tensor.dataSync()]));
  const session = await InferenceSession.create(exportOnnx({ ...spec, weights }), {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const outputs: Outputs[] = [];
  for (const features of batches) {
    const shapes = model.inputs.map(({ shape }, at) => {
      const own = shape.slice(1) as number[];
      return [features[at]!.length / sizeOf(own), ...own];
    });
    const feeds = session.inputNames.map((name, at) => [name, new Tensor('float32', features[at]!, shapes[at])]);
    const results = await session.run(Object.fromEntries(feeds) as Record<string, InstanceType<typeof Tensor>>);
    const predicted = tf.tidy(() => {
      const found = model.predict(features.map((values, at) => tf.tensor(values, shapes[at])));
      return (Array.isArray(found) ? found : [found]).map((tensor) => Float32Array.from(tensor.dataSync()));
    });
    outputs.push({ onnx: session.outputNames.map((name) => results[name]!.data as Float32Array), tfjs: predicted });
  }
  return { session, outputs };
}
