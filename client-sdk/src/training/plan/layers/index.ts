/** Every layer that can be compiled, by its class name. */
import { activationLayers } from './activations.ts';
import { attentionLayers } from './attention.ts';
import { convolutionLayers } from './convolutions.ts';
import { Dense } from './dense.ts';
import { Embedding } from './embedding.ts';
import type { LayerRule } from './layer.ts';
import { mergingLayers } from './merging.ts';
import { normalisationLayers } from './normalisation.ts';
import { poolingLayers } from './pooling.ts';
import { recurrentLayers } from './recurrent.ts';
import { shapeLayers } from './shapes.ts';

export const LAYERS: Readonly<Record<string, LayerRule>> = {
  Dense,
  Embedding,
  ...activationLayers,
  ...attentionLayers,
  ...convolutionLayers,
  ...mergingLayers,
  ...normalisationLayers,
  ...poolingLayers,
  ...recurrentLayers,
  ...shapeLayers,
};
