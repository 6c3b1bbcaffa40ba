/**
 * What to learn: the document that an operator writes, the coordinator schedules and a simulation replays unchanged.
 * This file is its type; `parse-task.ts` is the one line at which a document becomes one.
 */
import type { BudgetId, ClientId, ModelName, TaskId } from './ids.ts';
import type { NoiseKind } from './privacy/mechanisms/description.ts';
import type { MaskMode } from './secagg/vector-mask.ts';

export interface Task {
  readonly name: TaskId;
  readonly model: {
    /** Versions are published under this name. Its initial version must exist when the task is created. */
    readonly name: ModelName;
  };
  readonly cohort: Cohort;
  readonly training: LocalTraining;
  readonly strategy: Strategy;
  readonly protection: Protection;
  readonly schedule: Schedule;
  /** The task is completed after this many completed rounds; `null` goes on until stopped. */
  readonly rounds: number | null;
}

/**
 * `fixed`: as many as are wanted, of those who wait; who they are is no secret. `poisson`: each enrolled client by a secret coin of its own, so that
 * who sees the models does not know whether somebody was there; `rate` is the coin's probability, a decimal.
 */
export type Selection = { readonly kind: 'fixed' } | { readonly kind: 'poisson'; readonly rate: string };

/** How often one client may take part in the rounds of a task: at most so many of them, and from one to the next at least `apart` (1 is every round). */
export interface ParticipationCap {
  readonly most: number | null;
  readonly apart: number;
}

export interface Cohort {
  /** Absent in tasks from before there was a choice: `fixed`. */
  readonly selection?: Selection;
  readonly participation?: ParticipationCap | null;
  /** Updates a round wants: with this many it closes at once. Of a Poisson cohort, how many are expected: what its sum is divided by. */
  readonly target: number;
  /** Updates below which a round is abandoned (quorum). At least 1, at most `target`. */
  readonly minimum: number;
  /** Clients selected per wanted update, >= 1: 1.3 selects 30 % more than `target` (over-selection). */
  readonly overSelection: number;
  /** At most this many selected clients of one site; `null` is no cap. */
  readonly perSite: number | null;
  /** How long an open round gathers candidates, seconds. */
  readonly selectionSeconds: number;
  /** How long the cohort has to report, seconds from selection. */
  readonly reportSeconds: number;
  /** Added to the deadline when the quorum is not there yet, seconds. */
  readonly graceSeconds: number;
}

export interface LocalTraining {
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimizer: Optimizer;
  readonly loss: Loss;
  /** Largest number of examples that a client may weigh with. */
  readonly maxExamples: number;
  /** Null, or absent, where a client's examples have no noise of their own. */
  readonly privacy?: ExamplePrivacy | null;
}

/** Differential privacy for each example, against everybody who sees the update: the client clips example by example and adds noise to each local step. */
export interface ExamplePrivacy {
  readonly unit: 'example';
  /** Deviation of the noise on the sum of a batch's gradients over the clip; a decimal. */
  readonly noiseMultiplier: string;
  /** The L2 norm of an example's gradient is clipped to this. */
  readonly clip: number;
}

export type Optimizer = { readonly kind: 'sgd'; readonly learningRate: number; readonly momentum: number };
export type Loss =
  'categorical-crossentropy' | 'sparse-categorical-crossentropy' | 'binary-crossentropy' | 'mean-squared-error';
/** FedAvg (McMahan et al. 2017, algorithm 1): the mean weighted by examples, scaled by the server's learning rate. */
export type Strategy = { readonly kind: 'fedavg'; readonly serverLearningRate: number };
export type Protection = ClearUpdates | SecureAggregation | SharesAggregation;

/** The coordinator sees every update. */
export interface ClearUpdates {
  readonly kind: 'clear';
  /** Of the coordinator's own noise, or of each client's. */
  readonly privacy?: UserPrivacy | null;
}

/** The coordinator learns the sum of a cohort's updates and nothing else: `docs/protocol/secure-aggregation.md`. */
export interface SecureAggregation {
  readonly kind: 'secagg';
  /** Every value of an update is clipped to [-clip, clip]. */
  readonly clip: number;
  /** Resolution: an update's value becomes one of 2^bits steps between -clip and clip, rounded without bias. */
  readonly bits: number;
  /** How updates are masked; `auto` takes pairwise masks for small cohorts and RLWE for larger ones. */
  readonly mode: 'auto' | MaskMode;
  /** How long the cohort has for each step of the protocol beside the update itself, seconds. */
  readonly stepSeconds: number;
  readonly privacy: UserPrivacy | null;
}

/** Two aggregators of different owners hold a share each of every update, and learn the sum together: the same document, "shares". */
export interface SharesAggregation {
  readonly kind: 'shares';
  readonly clip: number;
  readonly bits: number;
  /** Who holds the shares that the coordinator does not: enrolled as a client is, and run with `carapace aggregator`. */
  readonly aggregator: ClientId;
  /** How long the aggregator has for its key, and for its sum, seconds. */
  readonly stepSeconds: number;
  readonly privacy: UserPrivacy | null;
}

/**
 * Who adds the noise of a round: every client a share of it, inside a secure sum that nobody ever has without; the coordinator all of it, who
 * is trusted with what comes before; or every client all of it, who then trusts nobody.
 */
export const NOISE_PLACEMENTS = ['distributed', 'central', 'local'] as const;
export type NoisePlacement = (typeof NOISE_PLACEMENTS)[number];

/** Differential privacy for whole clients. Decimals are texts, so that all parties mean the same number. `docs/privacy.md`. */
export interface UserPrivacy {
  readonly placement: NoisePlacement;
  readonly noise: NoiseKind;
  /** Deviation of the noise on the sum over the clip, with local noise of that on each update; a decimal. */
  readonly noiseMultiplier: string;
  /** An update's L2 norm is clipped to this. All clients weigh the same. */
  readonly clip: number;
  /** Null, or absent, where that is the clip of all rounds; else it is that of the first. */
  readonly adaptive?: AdaptiveClip | null;
  /** So many survivors of a round are not relied on for noise; 0 where noise does not come from several. */
  readonly colluding: number;
  /** Null, or absent, where each round has noise of its own. */
  readonly matrix?: NoiseMatrix | null;
  /** Every round is charged to each of these before its cohort is selected. */
  readonly budgets: readonly BudgetId[];
}

/** The clip follows a quantile of the norms of updates: each client tells by one bit, under the same noise, whether its own was within (Andrew et al. 2021). */
export interface AdaptiveClip {
  /** gamma: the share of updates that should be within the clip. */
  readonly quantile: number;
  /** eta: the clip moves by e^±(rate / 2) in a round at the median, at most. */
  readonly rate: number;
  /** sigma_b: deviation of the noise on the count of bits, with local noise of that on each; a decimal. */
  readonly bitDeviation: string;
}

/**
 * DP-FTRL: central noise that is correlated over the rounds, so that it nearly cancels in their sum; for cohorts that cannot be sampled. All rounds together are
 * one release, charged once, whoever of the clients takes part in `most` of the `steps`, `apart` or more from one to the next.
 */
export interface NoiseMatrix {
  /** A binary tree; the square root of the prefix sum (Toeplitz); or that, cut off after a band. */
  readonly kind: 'tree' | 'toeplitz' | 'banded';
  /** Steps that share noise; of `banded` alone. */
  readonly band?: number;
  /** Sums that are ever released. */
  readonly steps: number;
  readonly most: number;
  readonly apart: number;
}

export type Schedule =
  | { readonly kind: 'continuous' }
  | { readonly kind: 'every'; readonly seconds: number }
  | { readonly kind: 'cron'; readonly pattern: string };

/** Of a protection, what says whether there is noise. */
type Noisy = Pick<ClearUpdates, 'privacy'>;

/** Correlated noise of a task, or null. */
export function matrixOf(protection: Noisy): NoiseMatrix | null {
  return privacyOf(protection)?.matrix ?? null;
}

export function privacyOf(protection: Noisy): UserPrivacy | null {
  return protection.privacy ?? null;
}
