/** The thread in which updates are summed: megabytes of arithmetic that must not stop the HTTP loop. */
import { parentPort, workerData } from 'node:worker_threads';
import { judgeClearUpdate, layoutOf, serverStep, WeightedSum } from '@carapace/aggregation';
import type { Digest } from '@carapace/aggregation';
import { openBlobs } from '../blobs/files.ts';
import type { AggregationInput } from '../../ports.ts';
import type { WorkReply, WorkRequest } from './aggregation-thread.ts';

const directories = workerData as { readonly models: string; readonly updates: string };
const port = parentPort;
if (port === null) throw new Error('aggregation runs in a worker thread');
const [models, updates] = await Promise.all([openBlobs(directories.models), openBlobs(directories.updates)]);

port.on('message', (request: WorkRequest) => {
  aggregate(request.input).then(
    (result) => port.postMessage({ id: request.id, result } satisfies WorkReply),
    (error: unknown) =>
      port.postMessage({
        id: request.id,
        error: error instanceof Error ? error.message : String(error),
      } satisfies WorkReply),
  );
});

/** One update in memory at a time, in the order given, which is that of the client ids. */
async function aggregate(input: AggregationInput): Promise<{ weights: Digest; examples: number }> {
  const layout = layoutOf(input.tensors);
  const sum = new WeightedSum(layout.size);
  for (const digest of input.updates) {
    const verdict = judgeClearUpdate(await updates.get(digest), {
      round: input.round,
      base: input.base,
      layout,
      maxExamples: input.maxExamples,
    });
    if (verdict.kind === 'refused') throw new Error(`the admitted update ${digest} no longer passes: ${verdict.why}`);
    sum.accumulate(verdict.update.delta, verdict.update.examples);
  }
  const base = await models.get(input.base);
  const next = serverStep(
    input.strategy,
    layout,
    new Float32Array(base.buffer, base.byteOffset, layout.size),
    sum.mean(),
  );
  return {
    weights: await models.put(new Uint8Array(next.buffer, next.byteOffset, next.byteLength)),
    examples: sum.weight,
  };
}
