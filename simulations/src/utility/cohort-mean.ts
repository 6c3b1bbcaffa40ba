/**
 * The mean of a cohort's clipped updates under one of three noises, each by the production code of its mechanism. What is missing is the
 * mask: that lanes are summed modulo 2^32 here, and not inside secure aggregation, changes no bit of the sum.
 */
import {
  CentralSum,
  clipping,
  laneCount,
  laneFormat,
  noisePlan,
  noisyLanes,
  noisyQuantiser,
  openNoisyMean,
  planCentral,
} from '@carapace/aggregation';
import type { UserPrivacy } from '@carapace/aggregation';
import { parseRational } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';

/** Nobody adds noise, or the server adds discrete Gaussian noise to the sum, or every client adds its share of Skellam noise in 16 bits. */
export const NOISES = ['none', 'central', 'distributed'] as const;
export type Noise = (typeof NOISES)[number];

export const LANE_BITS = 16;

export interface CohortSettings {
  readonly clients: number;
  readonly dimension: number;
  /** L2 norm that each update is clipped to. */
  readonly clip: number;
  /** Deviation of the noise on the sum over the clip; a decimal. */
  readonly noiseMultiplier: string;
}

export interface CohortMean {
  add(update: Float32Array): void;
  /** Once, when all clients were added. */
  mean(): Float64Array;
}

export function openCohortMean(noise: Noise, settings: CohortSettings, random: RandomSource): CohortMean {
  return { none: clippedMean, central: centralMean, distributed: distributedMean }[noise](settings, random);
}

/** What the other two would be without noise, to the last bit or two. */
export function clippedMean({ clients, dimension, clip }: CohortSettings): CohortMean {
  const sum = new Float64Array(dimension);
  return {
    add: (update) => {
      const { factor } = clipping(update, clip);
      for (let i = 0; i < dimension; i++) sum[i]! += factor * update[i]!;
    },
    mean: () => sum.map((value) => value / clients),
  };
}

function centralMean({ clients, dimension, clip, noiseMultiplier }: CohortSettings, random: RandomSource): CohortMean {
  const sum = new CentralSum(planCentral({ dimension, noiseMultiplier: parseRational(noiseMultiplier) }), clip);
  return {
    add: (update) => sum.add(update),
    mean: () => sum.release(random).map((value) => value / clients),
  };
}

/** All clients survive and all of their noise is counted on, so that the multiplier is that of the central noise. */
export function distributedPrivacy({ clip, noiseMultiplier }: CohortSettings): UserPrivacy {
  return { placement: 'distributed', noise: 'skellam', noiseMultiplier, clip, colluding: 0, budgets: [] };
}

function distributedMean(settings: CohortSettings, random: RandomSource): CohortMean {
  const { clients, dimension } = settings;
  const privacy = distributedPrivacy(settings);
  const plan = noisePlan({ bits: LANE_BITS }, privacy, { clients, minimumSurvivors: clients }, dimension);
  const format = laneFormat(noisyQuantiser({ bits: LANE_BITS }, privacy), dimension, clients);
  // The rotation of a round hangs on its session; here on 32 bytes of this round.
  const context = random.bytes(32);
  const sums = new Uint32Array(laneCount(format));
  return {
    add: (update) => {
      const lanes = noisyLanes(plan, privacy, context, update, format, random);
      for (let i = 0; i < sums.length; i++) sums[i]! += lanes[i]!;
    },
    mean: () => {
      const mean = openNoisyMean(plan, privacy, context, sums, clients, format);
      if (mean === undefined) throw new Error(`the sum is not one of ${clients} clients`);
      return mean;
    },
  };
}
