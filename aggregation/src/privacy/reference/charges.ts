/** The mechanisms of reference entries as events. What is not known is undefined, and told as unsupported. */
import type { Charge, PrivacyEvent, Relation } from '../events/event.ts';
import { binomialProbabilities } from '../numerics/binomial.ts';
import { roundedL1, roundedL2 } from '../rdp/integer-vectors.ts';
import type { Params, ReferenceEntry } from './entry.ts';

export function relationOf({ params }: ReferenceEntry): Relation {
  const written = params.text('neighbouring', 'add_remove');
  if (written.startsWith('replace_special') || written.startsWith('zero')) return 'zero-out';
  return written.startsWith('replace') ? 'replace-one' : 'add-or-remove';
}

type Make = (params: Params) => readonly Charge[];

/** With another noise or sampling than the entry's own, for calibration. */
export function chargesOf({ mechanism, params }: ReferenceEntry): readonly Charge[] | undefined {
  return MECHANISMS[mechanism]?.(params);
}

/** Deviation over the sensitivity, however the entry says it. */
function multiplier(params: Params): number {
  if (params.has('effective_noise_multiplier')) return params.number('effective_noise_multiplier');
  return params.number('noise_multiplier');
}

export function sampled(
  probability: number,
  event: Extract<PrivacyEvent, { kind: 'gaussian' | 'laplace' }>,
): PrivacyEvent {
  return probability === 1 ? event : { kind: 'poisson', probability, event };
}

const times = (params: Params, event: PrivacyEvent): readonly Charge[] => [{ event, count: params.number('steps', 1) }];

const MECHANISMS: Readonly<Record<string, Make | undefined>> = {
  gaussian: sampledGaussian,
  poisson_sampled_gaussian: sampledGaussian,
  composed: (p) => p.parts().flatMap((part) => sampledGaussian(part)),
  laplace: (p) => times(p, { kind: 'laplace', scale: p.number('noise_multiplier') }),
  poisson_sampled_laplace: (p) =>
    times(p, sampled(p.number('sampling_probability'), { kind: 'laplace', scale: p.number('noise_multiplier') })),
  discrete_laplace: (p) =>
    times(p, { kind: 'discrete-laplace', scale: p.number('scale'), sensitivity: p.number('sensitivity', 1) }),
  discrete_gaussian_1d: (p) =>
    times(p, { kind: 'discrete-gaussian', variance: p.number('sigma2'), sensitivity: p.number('shift', 1) }),
  skellam_1d: (p) => times(p, { kind: 'skellam', variance: p.number('variance'), sensitivity: p.number('shift', 1) }),
  skellam_multidim: (p) =>
    times(p, {
      kind: 'skellam-vector',
      scale: p.number('scale'),
      deviation: Math.sqrt(p.number('variance_unscaled')),
      l1: p.number('l1_sensitivity'),
      l2: p.number('l2_sensitivity'),
    }),
  epsilon_delta: (p) =>
    times(p, { kind: 'epsilon-delta', epsilon: p.number('epsilon0'), delta: p.number('delta0', 0) }),
  k_ary_randomized_response: (p) =>
    times(p, { kind: 'randomised-response', noise: p.number('noise_parameter'), buckets: p.number('num_buckets') }),
  exponential_mechanism_bounded_range: (p) => times(p, { kind: 'bounded-range', epsilon: p.number('epsilon0') }),
  zcdp: (p) => times(p, { kind: 'zcdp', rho: p.number('rho'), xi: p.number('xi', 0) }),
  mixture_of_gaussians: (p) => p.parts().flatMap((part) => times(part, mixture(part))),
  poisson_sampled_gaussian_group: (p) => times(p, group(p)),
  truncated_poisson_gaussian: (p) => (p.has('parts') ? p.parts() : [p]).flatMap((part) => times(part, truncated(part))),
  sampled_without_replacement_gaussian: (p) =>
    times(p, {
      kind: 'without-replacement',
      population: p.number('population'),
      sample: p.number('sample_size'),
      // The entries' multiplier is over the distance of a replacement, ours over the bound on one person's part.
      noiseMultiplier: 2 * p.number('noise_multiplier'),
    }),
  single_tree_no_restart: (p) => [
    { event: tree(p, p.number('max_participation'), p.number('min_separation')), count: 1 },
  ],
  single_epoch_tree_aggregation: (p) => [{ event: tree(p, 1, 0), count: 1 }],
  distributed_skellam: (p) => times(p, distributedSkellam(p)),
  distributed_discrete_gaussian: (p) => times(p, distributedGaussian(p)),
};

function sampledGaussian(p: Params): readonly Charge[] {
  return times(p, sampled(p.number('sampling_probability', 1), { kind: 'gaussian', noiseMultiplier: multiplier(p) }));
}

function mixture(p: Params): PrivacyEvent {
  return {
    kind: 'mixture-of-gaussians',
    deviation: p.number('std'),
    sensitivities: p.numbers('sensitivities'),
    probabilities: p.numbers('probs'),
  };
}

/** Each of a group has a coin of its own. */
function group(p: Params): PrivacyEvent {
  const size = p.number('group_size');
  return {
    kind: 'mixture-of-gaussians',
    deviation: p.number('noise_multiplier'),
    sensitivities: Array.from({ length: size + 1 }, (_, k) => k),
    probabilities: binomialProbabilities(size, p.number('sampling_probability')),
  };
}

function truncated(p: Params): Extract<PrivacyEvent, { kind: 'truncated-poisson' }> {
  return {
    kind: 'truncated-poisson',
    population: p.number('dataset_size'),
    probability: p.number(p.has('q') ? 'q' : 'sampling_probability'),
    cap: p.number(p.has('max_batch') ? 'max_batch' : 'max_cohort'),
    noiseMultiplier: p.number(p.has('z') ? 'z' : 'noise_multiplier'),
  };
}

function tree(p: Params, participations: number, separation: number): PrivacyEvent {
  const noiseMultiplier = p.number('noise_multiplier', 1);
  return { kind: 'tree', noiseMultiplier, rounds: p.number('steps'), participations, separation };
}

function distributedSkellam(p: Params): PrivacyEvent {
  const scale = p.number('scale');
  const norms = roundedNorms(p, scale);
  return sampledVector(p, { kind: 'skellam-vector', scale, deviation: p.number('central_stddev'), ...norms });
}

function distributedGaussian(p: Params): PrivacyEvent {
  const scale = 1 / p.number('gamma');
  const { l1, l2 } = roundedNorms(p, scale);
  return sampledVector(p, {
    kind: 'distributed-discrete-gaussian',
    clients: p.number('num_clients'),
    localDeviation: p.number('local_stddev') * scale,
    l1: l1 * scale,
    l2: l2 * scale,
    dimension: p.number('dim'),
  });
}

function sampledVector(
  p: Params,
  event: Extract<PrivacyEvent, { kind: 'skellam-vector' | 'distributed-discrete-gaussian' }>,
): PrivacyEvent {
  const probability = p.number('q', 1);
  return probability === 1 ? event : { kind: 'poisson', probability, event };
}

function roundedNorms(p: Params, scale: number): { readonly l1: number; readonly l2: number } {
  const dimension = p.number('dim');
  const l2 = roundedL2(p.number('l2_sens') * scale, p.number('beta'), dimension);
  return { l1: roundedL1(l2, dimension) / scale, l2: l2 / scale };
}
