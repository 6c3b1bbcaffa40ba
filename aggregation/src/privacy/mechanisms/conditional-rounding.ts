/**
 * Unbiased rounding that is repeated until the integer vector is short enough: Kairouz, Liu and Steinke, "The Distributed Discrete
 * Gaussian Mechanism" (2021), proposition 22. Rounding can lengthen a vector by sqrt(d); conditioned, by about sqrt(d) / 2.
 */
import { keyStream } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { AggregationError } from '../../errors.ts';
import type { Workspace } from './lattice/kernel.ts';

/** A try fails with probability at most beta <= 0.9: all of them do with 2^-152. */
const MOST_TRIES = 1000;
/** Above, a rounding would be taken too rarely. */
const MOST_BETA = 0.9;

/**
 * Squared L2 norm that a vector of norm `length` in integer units keeps when it is rounded, with probability at least 1 - beta; for
 * beta = 0 always, (length + sqrt(d))^2.
 * @throws AggregationError `MECHANISM_PARAMETERS`
 */
export function roundedNormSquared(length: number, dimension: number, beta: number): number {
  const worst = (length + Math.sqrt(dimension)) ** 2;
  if (beta === 0) return worst;
  const slack = roundingSlack(beta);
  return Math.min(worst, length ** 2 + dimension / 4 + slack * (length + Math.sqrt(dimension) / 2));
}

/** sqrt(2 ln(1 / beta)): deviations of the squared norm that are allowed for. @throws AggregationError `MECHANISM_PARAMETERS` */
export function roundingSlack(beta: number): number {
  if (!(beta >= 0 && beta <= MOST_BETA)) {
    throw new AggregationError('MECHANISM_PARAMETERS', `a beta of ${beta}, allowed are 0 to ${MOST_BETA}`);
  }
  return Math.sqrt(2 * Math.log(1 / beta));
}

/**
 * Rounds the numbers of the workspace into its integers, again and again until their squared norm is at most `l2Squared`: that
 * comparison is exact. Coins are an AES-256-CTR stream under a fresh key; the time tells how many tries it took.
 * @throws AggregationError `MECHANISM_NORM` when no try succeeds: the numbers are longer than was allowed for
 */
export function roundConditionally(workspace: Workspace, l2Squared: bigint, random: RandomSource): void {
  const coins = keyStream(random.bytes(32), 0, 0);
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    if (!workspace.round(coins)) break;
    if (workspace.norms().l2Squared <= l2Squared) return;
  }
  throw new AggregationError('MECHANISM_NORM', `no rounding has a squared norm of at most ${l2Squared}`);
}
