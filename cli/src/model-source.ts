/** Where an uploaded version comes from: a safetensors file as it is, a TensorFlow.js model, or a model that is shipped. */
import { basename } from 'node:path';
import { buildShippedModel, readLayersModel, SHIPPED_MODELS } from '@carapace/client-sdk';
import type { InitialModel } from '@carapace/client-sdk';
import { systemRandom } from '@carapace/crypto';
import { CliError } from './errors.ts';
import { readBytesFile } from './local-files.ts';
import { modelFile } from './model-file.ts';

export async function modelSource(source: string): Promise<Uint8Array<ArrayBuffer>> {
  if (source.endsWith('.safetensors')) return readBytesFile(source);
  return modelFile(await initialModel(source));
}

async function initialModel(source: string): Promise<InitialModel> {
  if (SHIPPED_MODELS.includes(source)) return buildShippedModel(source, systemRandom);
  if (basename(source).endsWith('.json')) {
    // Refuses with its own code what cannot be read at all, before anything is loaded.
    readBytesFile(source);
    return readLayersModel(source);
  }
  throw new CliError(
    'USAGE_INVALID',
    `"${source}" is not a model.json, a .safetensors file, or one of ${SHIPPED_MODELS.join(', ')}`,
  );
}
