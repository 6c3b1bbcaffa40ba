/** What reference entries ask for, computed by the engines and formulas of this package. */
import { budgetOf, renyiOfBudget } from '../budget.ts';
import { calibrate } from '../calibrate.ts';
import type { Charge } from '../events/event.ts';
import { privacyDelta, privacyEpsilon } from '../query.ts';
import type { PrivacyEngine } from '../query.ts';
import { bestOf, epsilonAt } from '../rdp/convert.ts';
import type { RenyiCurve } from '../rdp/convert.ts';
import { withoutReplacementRenyi } from '../rdp/amplified.ts';
import { roundedL2, summationGap } from '../rdp/integer-vectors.ts';
import { bandedSensitivitySquared, squareRootSensitivitySquared } from '../sensitivity/matrix-factorisation.ts';
import { treeSensitivitySquared } from '../sensitivity/tree.ts';
import { advancedComposition } from './advanced-composition.ts';
import { centralLimitEpsilon } from './central-limit.ts';
import { chargesOf, relationOf, sampled } from './charges.ts';
import type { ReferenceEntry } from './entry.ts';
import { ordersOf } from './orders-of.ts';
import { cohortCutEpsilon } from './truncated.ts';

/** Undefined where the entry asks for what is not known here. */
export function quantityOf(entry: ReferenceEntry): number | undefined {
  const { quantity, params } = entry;
  switch (quantity) {
    case 'epsilon':
      return epsilonOf(entry);
    case 'delta':
      return ask(entry, (charges, options) => privacyDelta(charges, params.number('epsilon'), options).value);
    case 'rdp':
      return renyiAt(entry);
    case 'noise_multiplier':
    case 'noise_std':
    case 'laplace_scale':
      return calibratedNoise(entry);
    case 'max_rounds':
      return mostRounds(entry);
    case 'sum_sensitivity_squared':
      return treeSensitivitySquared(
        params.number('steps'),
        params.number('max_participation'),
        params.number('min_separation'),
      );
    case 'tau':
      return summationGap(params.number('num_clients'), params.number('local_sigma'));
    case 'l2_norm_bound':
      return roundedL2(params.number('l2_norm_scaled'), params.number('beta'), params.number('dim'));
    case 'max_squared_column_norm':
      return squareRootSensitivitySquared(params.number('n'), 1, 0);
    case 'l2_sensitivity_multiplier':
      return Math.sqrt(
        bandedSensitivitySquared(
          params.number('iterations'),
          params.number('max_participations'),
          params.number('min_separation') - 1,
          params.number('column_norm'),
        ),
      );
    case 'value_noise_multiplier':
      return clippedValueNoise(params.number('total_noise_multiplier'), params.number('clipped_count_stddev'));
    case 'clip_after_update':
      return nextClip(entry);
    default:
      return undefined;
  }
}

/** Andrew et al. 2021, theorem 1: the count of clipped values is a second coordinate of one Gaussian, of sensitivity 1/2. */
function clippedValueNoise(total: number, countDeviation: number): number {
  return 1 / Math.sqrt(total ** -2 - (2 * countDeviation) ** -2);
}

/** Andrew et al. 2021, section 2.1. */
function nextClip({ params }: ReferenceEntry): number {
  const gap = params.number('observed_unclipped_fraction') - params.number('target_quantile');
  return params.number('clip') * Math.exp(-params.number('learning_rate') * gap);
}

type Options = { readonly relation: ReturnType<typeof relationOf>; readonly engine: PrivacyEngine };

function ask(
  entry: ReferenceEntry,
  question: (charges: readonly Charge[], options: Options) => number,
): number | undefined {
  const charges = chargesOf(entry);
  return charges && question(charges, { relation: relationOf(entry), engine: 'exact' });
}

function epsilonOf(entry: ReferenceEntry): number | undefined {
  const { params, mechanism, accountant } = entry;
  const delta = params.number('delta');
  switch (accountant) {
    case 'exact':
    case 'pld':
    case 'pld_dominating_pair':
    case 'exact_1d':
      if (mechanism === 'truncated_poisson_gaussian') return cohortCutEpsilon(entry);
      return ask(entry, (charges, options) => privacyEpsilon(charges, delta, options).value);
    case 'rdp':
    case 'opacus_rdp':
      return renyiEpsilon(entry);
    case 'zcdp':
      return ask(entry, (charges, options) => privacyEpsilon(charges, delta, { ...options, engine: 'zcdp' }).value);
    case 'gdp_clt': {
      const steps = params.number('steps');
      return centralLimitEpsilon(
        params.number('sampling_probability'),
        params.number('noise_multiplier'),
        steps,
        delta,
      );
    }
    case 'dp_accounting.pld.accountant.advanced_composition': {
      const box = { epsilon: params.number('epsilon0'), delta: params.number('delta0'), count: params.number('steps') };
      return advancedComposition(box, delta);
    }
    default:
      return undefined;
  }
}

/** By the orders that the entry names, or by all real ones. */
function renyiEpsilon(entry: ReferenceEntry): number | undefined {
  const { params, mechanism } = entry;
  const delta = params.number('delta');
  if (mechanism === 'rdp_curve') return givenCurveEpsilon(params.text('rdp'), delta);
  const orders = ordersOf(entry);
  if (orders === undefined) {
    return ask(entry, (charges, options) => privacyEpsilon(charges, delta, { ...options, engine: 'rdp' }).value);
  }
  const curve = renyiCurve(entry);
  return curve && bestOf(orders, (order) => epsilonAt(curve(order), order, delta)).value;
}

function renyiCurve(entry: ReferenceEntry): RenyiCurve | undefined {
  const { params, mechanism } = entry;
  if (mechanism === 'sampled_without_replacement_gaussian') {
    const share = params.number('sample_size') / params.number('population');
    const once = withoutReplacementRenyi(share, params.number('noise_multiplier'));
    return (order) => params.number('steps') * once(order);
  }
  if (mechanism === 'discrete_gaussian_1d') {
    // The published figure is that of the concentration, which the discrete Gaussian meets at whole orders only.
    const rho = (params.number('steps') * params.number('shift') ** 2) / (2 * params.number('sigma2'));
    return (order) => rho * order;
  }
  const charges = chargesOf(entry);
  const curves = charges && renyiOfBudget(budgetOf(charges, relationOf(entry)));
  return curves && ((order) => Math.max(curves.remove(order), curves.add(order)));
}

/** "1.1 at every integer order 2..32" */
function givenCurveEpsilon(text: string, delta: number): number | undefined {
  const [, value, from, to] = /^([\d.e+-]+) at every integer order (\d+)\.\.(\d+)$/.exec(text) ?? [];
  if (value === undefined) return undefined;
  const orders = Array.from({ length: Number(to) - Number(from) + 1 }, (_, i) => Number(from) + i);
  return bestOf(orders, (order) => epsilonAt(Number(value), order, delta)).value;
}

function renyiAt(entry: ReferenceEntry): number | undefined {
  const charges = chargesOf(entry);
  const curves = charges && renyiOfBudget(budgetOf(charges, relationOf(entry)));
  const order = entry.params.number('order');
  return curves && Math.max(curves.remove(order), curves.add(order));
}

function calibratedNoise(entry: ReferenceEntry): number | undefined {
  const { mechanism, params } = entry;
  const probability = params.number(params.has('sampling_prob') ? 'sampling_prob' : 'sampling_probability', 1);
  const count = params.number(params.has('num_queries') ? 'num_queries' : 'steps', 1);
  const isLaplace = mechanism === 'laplace';
  if (!isLaplace && mechanism !== 'gaussian' && mechanism !== 'poisson_sampled_gaussian') return undefined;
  const chargesAt = (noise: number): readonly Charge[] => [
    {
      event: sampled(
        probability,
        isLaplace ? { kind: 'laplace', scale: noise } : { kind: 'gaussian', noiseMultiplier: noise },
      ),
      count,
    },
  ];
  const { value } = calibrate({
    relation: relationOf(entry),
    engine: 'exact',
    epsilon: params.number(params.has('target_epsilon') ? 'target_epsilon' : 'epsilon'),
    delta: params.number('delta'),
    ...{ chargesAt, protects: 'more', low: 0.02, high: 1e6 },
  });
  return value * params.number('sensitivity', 1);
}

function mostRounds(entry: ReferenceEntry): number | undefined {
  const once = chargesOf(entry);
  if (once === undefined) return undefined;
  const { value } = calibrate({
    relation: relationOf(entry),
    engine: 'exact',
    epsilon: entry.params.number('budget_epsilon'),
    delta: entry.params.number('delta'),
    chargesAt: (count) => once.map(({ event }) => ({ event, count })),
    ...{ protects: 'less', low: 1, high: 1e9, whole: true },
  });
  return value;
}
