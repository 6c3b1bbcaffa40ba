/** The thread that evaluates weights on a test set with the client's own engine: seconds of work that must not stop an event loop. */
import { parentPort } from 'node:worker_threads';
import { openTrainingEngine } from '@carapace/client-sdk';
import type { Examples } from '@carapace/client-sdk';
import { mnistExamples } from '../data/mnist.ts';
import type { EvaluationReply, EvaluationRequest } from './test-set-evaluator.ts';

const port = parentPort;
if (port === null) throw new Error('evaluation runs in a worker thread');
let testSet: Promise<Examples> | null = null;

port.on('message', (request: EvaluationRequest) => {
  evaluate(request).then(
    (metrics) => port.postMessage({ id: request.id, metrics } satisfies EvaluationReply),
    (error: unknown) =>
      port.postMessage({
        id: request.id,
        error: error instanceof Error ? error.message : String(error),
      } satisfies EvaluationReply),
  );
});
port.postMessage({ ready: true } satisfies EvaluationReply);

async function evaluate({ topology, tensors, weights, loss }: EvaluationRequest): Promise<Record<string, number>> {
  testSet ??= mnistExamples('test');
  const engine = await openTrainingEngine();
  const trainer = await engine.load({ topology, tensors, loss });
  try {
    trainer.setWeights(weights);
    const result = await trainer.evaluate(await testSet);
    return { testLoss: result.loss, ...(result.accuracy === null ? {} : { testAccuracy: result.accuracy }) };
  } finally {
    trainer.dispose();
  }
}
