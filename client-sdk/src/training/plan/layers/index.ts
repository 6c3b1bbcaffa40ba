/** Every layer that can be compiled, by its class name. */
import { activationLayers } from './activations.ts';
import { convolutionLayers } from './convolutions.ts';
import { Dense } from './dense.ts';
import type { LayerRule } from './layer.ts';
import { mergingLayers } from './merging.ts';
import { poolingLayers } from './pooling.ts';
import { shapeLayers } from './shapes.ts';

export const LAYERS: Readonly<Record<string, LayerRule>> = {
  Dense,
  ...activationLayers,
  ...convolutionLayers,
  ...mergingLayers,
  ...poolingLayers,
  ...shapeLayers,
};
