/** Where an uploaded version comes from: a safetensors file as it is, a TensorFlow.js or Keras model, or a model that is shipped. */
import { basename } from 'node:path';
import { buildShippedModel, readLayersModel, SHIPPED_MODELS } from '@carapace/client-sdk';
import type { InitialModel } from '@carapace/client-sdk';
import { systemRandom } from '@carapace/crypto';
import { CliError } from './errors.ts';
import { readBytesFile } from './local-files.ts';
import { modelFile } from './model-file.ts';

/** @param weights a safetensors file that has the weights of a JSON source */
export async function modelSource(source: string, weights?: string): Promise<Uint8Array<ArrayBuffer>> {
  if (weights !== undefined && !basename(source).endsWith('.json'))
    throw new CliError('USAGE_INVALID', `--weights goes with the JSON of a model; "${source}" has its own`);
  if (source.endsWith('.safetensors')) return readBytesFile(source);
  return modelFile(await initialModel(source, weights));
}

async function initialModel(source: string, weights: string | undefined): Promise<InitialModel> {
  if (SHIPPED_MODELS.includes(source)) return buildShippedModel(source, systemRandom);
  if (basename(source).endsWith('.json')) {
    // Refuses with its own code what cannot be read at all, before anything is loaded.
    readBytesFile(source);
    return readLayersModel(source, weights === undefined ? null : readBytesFile(weights));
  }
  throw new CliError(
    'USAGE_INVALID',
    `"${source}" is not a model.json, a .safetensors file, or one of ${SHIPPED_MODELS.join(', ')}`,
  );
}
