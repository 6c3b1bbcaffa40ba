/** How a device trains, beyond what a task of today can say: every `LocalTraining` of an assignment is one of these. */
import type { Loss } from '@carapace/aggregation';

export type LossName = Loss | 'mean-absolute-error' | 'huber';

export interface Sgd {
  readonly kind: 'sgd';
  readonly learningRate: number;
  /** 0 is none. */
  readonly momentum: number;
  readonly nesterov?: boolean;
  /** Added to the gradient times the weight. */
  readonly weightDecay?: number;
}

/** Kingma and Ba 2015; `adamw` takes the decay off the weights themselves (Loshchilov and Hutter 2019, algorithm 2). */
export interface Adam {
  readonly kind: 'adam' | 'adamw';
  readonly learningRate: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly weightDecay?: number;
}

export type OptimizerSettings = Sgd | Adam;

export interface TrainingSettings {
  readonly batchSize: number;
  readonly optimizer: OptimizerSettings;
  /** The gradient of all weights together is scaled down to this Euclidean norm. */
  readonly clipNorm?: number;
  /** FedProx (Li et al. 2020, equation 2): mu (w - w0) is added to the gradient, w0 the weights that were set last. */
  readonly proximal?: number;
  /** SCAFFOLD (Karimireddy et al. 2020, equation 3): c - c_i, added to the gradient; as many numbers as the model has weights. */
  readonly correction?: Float32Array;
  /** DP-SGD: each example's gradient is scaled down to this Euclidean norm before the mean is taken. */
  readonly perExampleClip?: number;
  /** Which dropout masks are drawn. */
  readonly seed?: number;
}

/** What the layout of an optimiser's state and the form of its step depend on; the numbers may change from step to step. */
export interface StepForm {
  readonly rule: 'sgd' | 'momentum' | 'nesterov' | 'adam';
  readonly decays: boolean;
  readonly clips: boolean;
  readonly proximal: boolean;
  readonly corrected: boolean;
}

export function stepForm({ optimizer, clipNorm, proximal, correction }: TrainingSettings): StepForm {
  const coupled = optimizer.kind !== 'adamw' && (optimizer.weightDecay ?? 0) !== 0;
  return {
    rule: ruleOf(optimizer),
    decays: coupled,
    clips: clipNorm !== undefined,
    proximal: (proximal ?? 0) !== 0,
    corrected: correction !== undefined,
  };
}

function ruleOf(optimizer: OptimizerSettings): StepForm['rule'] {
  if (optimizer.kind !== 'sgd') return 'adam';
  if (optimizer.momentum === 0) return 'sgd';
  return optimizer.nesterov === true ? 'nesterov' : 'momentum';
}

/** The numbers of Adam's step `step` (from 1), in the order in which back ends take them. */
export function adamScalars(optimizer: Adam, step: number): readonly number[] {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7, weightDecay = 0 } = optimizer;
  const shrink = optimizer.kind === 'adamw' ? 1 - learningRate * weightDecay : 1;
  return [learningRate, beta1, beta2, epsilon, 1 - beta1 ** step, 1 - beta2 ** step, shrink, 1 - beta1, 1 - beta2];
}
