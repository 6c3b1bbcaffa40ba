/** Documents of events: every key known, every number in range, numbers as decimal strings (as numbers they are taken too). */
import { DocumentReader } from '../../document.ts';
import { AggregationError } from '../../errors.ts';
import type { Refuse } from '../../document.ts';
import type { Charge, PrivacyEvent, Sampleable } from './event.ts';

const refuse: Refuse = (message, options) => new AggregationError('PRIVACY_EVENT_INVALID', message, options);

/** More is no plan of training, and rounding errors grow with it. */
export const MOST_STEPS = 1e9;
const MULTIPLIER = { min: 0.02, max: 1e6 } as const;
const PROBABILITY = { min: 1e-12, max: 1 } as const;
const VARIANCE = { min: 0.01, max: 1e7 } as const;
const SENSITIVITY = { min: 1, max: 10_000, integer: true } as const;
const MANY = { min: 1, max: 1e12, integer: true } as const;
const ROUNDS = { min: 1, max: 1e6, integer: true } as const;
const POSITIVE = { min: 1e-12, max: 1e12 } as const;

/** A list of `{ event, count }`, or of events that happened once. @throws AggregationError `PRIVACY_EVENT_INVALID` */
export function parseCharges(value: unknown): readonly Charge[] {
  const list = withNumbers(value);
  if (!Array.isArray(list)) throw refuse('the events are not a list');
  return list.map((item, i) => readCharge(item, `events[${i}]`));
}

/** One event. @throws AggregationError `PRIVACY_EVENT_INVALID` */
export function parsePrivacyEvent(value: unknown): PrivacyEvent {
  return readEvent(new DocumentReader(withNumbers(value), 'event', refuse));
}

/** @throws AggregationError `PRIVACY_EVENT_INVALID` */
export function checkCharge({ event, count }: Charge): void {
  readCharge({ event, count }, 'charge');
}

function readCharge(item: unknown, path: string): Charge {
  const outer = new DocumentReader(item, path, refuse);
  const isBare = typeof item === 'object' && item !== null && 'kind' in item;
  if (isBare) return { event: readEvent(outer), count: 1 };
  const event = readEvent(outer.object('event'));
  const count = outer.number('count', { min: 1, max: MOST_STEPS, integer: true }, 1);
  outer.end();
  return { event, count };
}

const DECIMAL = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** Decimal strings as numbers, all the way down. */
function withNumbers(value: unknown): unknown {
  if (typeof value === 'string') return DECIMAL.test(value) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withNumbers(inner)]));
}

type Read = (reader: DocumentReader) => PrivacyEvent;

const SAMPLEABLE: {
  readonly [Kind in Sampleable['kind']]: (reader: DocumentReader) => Extract<Sampleable, { kind: Kind }>;
} = {
  gaussian: (r) => ({ kind: 'gaussian', noiseMultiplier: r.number('noiseMultiplier', MULTIPLIER) }),
  laplace: (r) => ({ kind: 'laplace', scale: r.number('scale', MULTIPLIER) }),
  'discrete-laplace': (r) => ({
    kind: 'discrete-laplace',
    scale: r.number('scale', { min: 0.02, max: 10_000 }),
    sensitivity: r.number('sensitivity', SENSITIVITY, 1),
  }),
  'discrete-gaussian': (r) => ({
    kind: 'discrete-gaussian',
    variance: r.number('variance', VARIANCE),
    sensitivity: r.number('sensitivity', SENSITIVITY, 1),
  }),
  skellam: (r) => ({
    kind: 'skellam',
    variance: r.number('variance', VARIANCE),
    sensitivity: r.number('sensitivity', SENSITIVITY, 1),
  }),
  'skellam-vector': (r) => ({
    kind: 'skellam-vector',
    scale: r.number('scale', POSITIVE),
    deviation: r.number('deviation', POSITIVE),
    l1: r.number('l1', POSITIVE),
    l2: r.number('l2', POSITIVE),
  }),
  'distributed-discrete-gaussian': (r) => ({
    kind: 'distributed-discrete-gaussian',
    clients: r.number('clients', { min: 1, max: 1e6, integer: true }),
    localDeviation: r.number('localDeviation', POSITIVE),
    l1: r.number('l1', POSITIVE),
    l2: r.number('l2', POSITIVE),
    dimension: r.number('dimension', MANY),
  }),
};

const OTHERS: Readonly<Record<Exclude<PrivacyEvent, Sampleable>['kind'], Read>> = {
  poisson: (r) => ({
    kind: 'poisson',
    probability: r.number('probability', PROBABILITY),
    event: readSampleable(r.object('event')),
  }),
  'truncated-poisson': (r) => ({
    kind: 'truncated-poisson',
    population: r.number('population', MANY),
    probability: r.number('probability', PROBABILITY),
    cap: r.number('cap', MANY),
    noiseMultiplier: r.number('noiseMultiplier', MULTIPLIER),
  }),
  'without-replacement': readWithoutReplacement,
  tree: (r) => ({ kind: 'tree', ...readParticipation(r) }),
  'matrix-factorisation': (r) => ({
    kind: 'matrix-factorisation',
    strategy: r.choice('strategy', ['square-root', 'banded']),
    ...readParticipation(r),
    columnNorm: r.number('columnNorm', { min: 1e-6, max: 1e6 }, 1),
  }),
  'mixture-of-gaussians': readMixture,
  'epsilon-delta': (r) => ({
    kind: 'epsilon-delta',
    epsilon: r.number('epsilon', { min: 0, max: 500 }),
    delta: r.number('delta', { min: 0, max: 1 }, 0),
  }),
  'randomised-response': (r) => ({
    kind: 'randomised-response',
    noise: r.number('noise', { min: 1e-12, max: 1 }),
    buckets: r.number('buckets', { min: 2, max: 1e9, integer: true }),
  }),
  zcdp: (r) => ({
    kind: 'zcdp',
    rho: r.number('rho', { min: 0, max: 1e6 }),
    xi: r.number('xi', { min: 0, max: 1e6 }, 0),
  }),
  'bounded-range': (r) => ({ kind: 'bounded-range', epsilon: r.number('epsilon', { min: 1e-9, max: 500 }) }),
};

const SAMPLEABLE_KINDS = Object.keys(SAMPLEABLE) as Sampleable['kind'][];
const KINDS = [...SAMPLEABLE_KINDS, ...(Object.keys(OTHERS) as (keyof typeof OTHERS)[])];

function readEvent(reader: DocumentReader): PrivacyEvent {
  const kind = reader.choice('kind', KINDS);
  const readers: Readonly<Record<PrivacyEvent['kind'], Read>> = { ...SAMPLEABLE, ...OTHERS };
  const event = readers[kind](reader);
  reader.end();
  return event;
}

function readSampleable(reader: DocumentReader): Sampleable {
  const event = SAMPLEABLE[reader.choice('kind', SAMPLEABLE_KINDS)](reader);
  reader.end();
  return event;
}

function readParticipation(r: DocumentReader): {
  noiseMultiplier: number;
  rounds: number;
  participations: number;
  separation: number;
} {
  return {
    noiseMultiplier: r.number('noiseMultiplier', MULTIPLIER),
    rounds: r.number('rounds', ROUNDS),
    participations: r.number('participations', { min: 1, max: 1000, integer: true }, 1),
    separation: r.number('separation', { min: 0, max: 1e6, integer: true }, 0),
  };
}

function readWithoutReplacement(r: DocumentReader): PrivacyEvent {
  const population = r.number('population', MANY);
  const sample = r.number('sample', { min: 1, max: population, integer: true });
  return { kind: 'without-replacement', population, sample, noiseMultiplier: r.number('noiseMultiplier', MULTIPLIER) };
}

function readMixture(r: DocumentReader): PrivacyEvent {
  const deviation = r.number('deviation', POSITIVE);
  const sensitivities = readNumbers(r, 'sensitivities', 1e6);
  const probabilities = readNumbers(r, 'probabilities', 1);
  const total = probabilities.reduce((sum, p) => sum + p, 0);
  if (sensitivities.length !== probabilities.length || sensitivities.length === 0)
    throw r.refuse('probabilities', `has ${probabilities.length} entries beside ${sensitivities.length} sensitivities`);
  if (!(Math.abs(total - 1) < 1e-9)) throw r.refuse('probabilities', `sum to ${total}, not to 1`);
  const largest = Math.max(...sensitivities);
  if (largest > 50 * deviation)
    throw r.refuse('sensitivities', `reach ${largest / deviation} deviations; allowed are 50`);
  return { kind: 'mixture-of-gaussians', deviation, sensitivities, probabilities: probabilities.map((p) => p / total) };
}

function readNumbers(r: DocumentReader, key: string, max: number): number[] {
  return r.list(key).map((value) => {
    if (typeof value === 'number' && value >= 0 && value <= max) return value;
    throw r.refuse(key, `holds ${String(value)}; allowed are numbers from 0 to ${max}`);
  });
}
