import { safetensorsHeader } from '@carapace/aggregation';
import type { InitialModel } from '@carapace/client-sdk';

/** What the coordinator takes as a version: safetensors with the model's topology in its metadata. */
export function modelFile({ topology, tensors, weights }: InitialModel): Uint8Array<ArrayBuffer> {
  const header = safetensorsHeader(tensors, { topology });
  const file = new Uint8Array(header.length + weights.byteLength);
  file.set(header);
  file.set(new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength), header.length);
  return file;
}
