/** `@carapace/simulations`: data sets, partitioners and virtual worlds that run the production code. */
export { mnistLabelCounts, mnistPart } from './data/mnist-part.ts';
export type { MnistPartOptions } from './data/mnist-part.ts';
export { mnistExamples, mnistLabels } from './data/mnist.ts';
export type { MnistSplit } from './data/mnist.ts';
export { SIMULATION_ERRORS, SimulationError } from './errors.ts';
export type { SimulationErrorCode } from './errors.ts';
export { mnistEvaluator } from './evaluate/test-set-evaluator.ts';
export { byDirichlet, byQuantity, byShards, iid } from './partition/partition.ts';
export type { Partition } from './partition/partition.ts';
export { seededRandom } from './seeded-random.ts';
export type { SeededRandom } from './seeded-random.ts';
export { NOISES } from './utility/cohort-mean.ts';
export type { Noise } from './utility/cohort-mean.ts';
export { runNoiseTrial } from './utility/noise-trial.ts';
export type { NoiseTrial, NoiseTrialData, NoiseTrialRound } from './utility/noise-trial.ts';
export { planUtility } from './utility/utility-plan.ts';
export type { UtilityPlan, UtilityTarget } from './utility/utility-plan.ts';
