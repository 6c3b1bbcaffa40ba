/** Counts what happens, in Prometheus' names: one prefix, base units, no label without a bound. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Happening, Listener } from '../../app/happenings.ts';

export interface Telemetry {
  readonly listener: Listener;
  readonly contentType: string;
  text(): Promise<string>;
  observeRequest(method: string, route: string, status: number, seconds: number): void;
  /** @param reason the code of the answer */
  observeAuthenticationFailure(reason: string): void;
}

/** What is asked for when somebody looks, instead of being counted all the time. */
export interface Sampled {
  readonly jobs: () => Promise<Readonly<Record<string, number>>>;
  readonly clients: () => Promise<Readonly<Record<'active' | 'revoked', number>>>;
}

/** The advised buckets of OpenTelemetry's `http.server.request.duration`. */
const HTTP_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const ROUND_BUCKETS = [0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
const PARTICIPANT_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000];

export function createTelemetry(version: string, sampled: Sampled): Telemetry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const meters = createMeters(registry);
  meters.build.set({ version }, 1);
  return {
    listener: (happening) => count(meters, happening),
    contentType: registry.contentType,
    text: async () => {
      await sample(meters, sampled);
      return registry.metrics();
    },
    observeAuthenticationFailure: (reason) => meters.authenticationFailures.inc({ reason: reason.toLowerCase() }),
    observeRequest: (method, route, status, seconds) => {
      meters.requests.observe(
        { http_request_method: method, http_route: route, http_response_status_code: status },
        seconds,
      );
    },
  };
}

type Meters = ReturnType<typeof createMeters>;

function createMeters(registry: Registry) {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> =>
    new Counter({ name, help, labelNames, registers });
  const histogram = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: number[],
  ): Histogram<L> => {
    return new Histogram({ name, help, labelNames, buckets, registers });
  };
  return {
    rounds: counter('fl_rounds_total', 'Rounds that ended', ['task', 'outcome', 'reason']),
    roundSeconds: histogram('fl_round_duration_seconds', 'From opening to the end of a round', ['task'], ROUND_BUCKETS),
    phaseSeconds: histogram(
      'fl_round_phase_duration_seconds',
      'Time in one phase of a round',
      ['task', 'phase'],
      ROUND_BUCKETS,
    ),
    participants: histogram(
      'fl_round_participants',
      'Clients of a round by what became of them',
      ['task', 'state'],
      PARTICIPANT_BUCKETS,
    ),
    updates: counter('fl_updates_total', 'Updates by result', ['task', 'result']),
    updateBytes: histogram(
      'fl_update_size_bytes',
      'Size of admitted updates',
      ['task'],
      [1e3, 1e4, 1e5, 1e6, 1e7, 1e8],
    ),
    received: counter('fl_update_bytes_total', 'Bytes of admitted updates', ['task']),
    sent: counter('fl_model_bytes_sent_total', 'Bytes of models sent', []),
    declined: counter('fl_participants_declined_total', 'Selected clients that declined', ['task']),
    refusals: counter('fl_budget_refusals_total', 'Rounds that no privacy budget could hold', ['task']),
    epsilon: new Gauge({
      name: 'fl_privacy_epsilon',
      help: 'What a privacy budget stands at, reservations included',
      labelNames: ['budget'],
      registers,
    }),
    accusations: counter('fl_secagg_accusations_total', 'Clients caught lying to their cohort', ['task', 'reason']),
    authenticationFailures: counter('fl_auth_failures_total', 'Requests refused for who sent them', ['reason']),
    enrolments: counter('fl_enrolments_total', 'Clients enrolled', []),
    revocations: counter('fl_revocations_total', 'Clients revoked', []),
    repairs: counter('fl_reconciler_repairs_total', 'What the reconciler had to re-create', ['what']),
    failures: counter('fl_job_failures_total', 'Jobs and nudges that failed', []),
    jobs: new Gauge({ name: 'fl_jobs', help: 'Jobs of the queue', labelNames: ['queue', 'state'], registers }),
    clients: new Gauge({ name: 'fl_clients', help: 'Clients by state', labelNames: ['state'], registers }),
    requests: histogram(
      'http_server_request_duration_seconds',
      'Duration of HTTP requests',
      ['http_request_method', 'http_route', 'http_response_status_code'],
      HTTP_BUCKETS,
    ),
    build: new Gauge({ name: 'fl_build_info', help: 'The running version', labelNames: ['version'], registers }),
  };
}

function count(meters: Meters, happening: Happening): void {
  switch (happening.kind) {
    case 'cohort-selected':
      return meters.participants.observe({ task: happening.task, state: 'selected' }, happening.clients.length);
    case 'update-admitted':
      meters.updates.inc({ task: happening.task, result: 'accepted' });
      meters.received.inc({ task: happening.task }, happening.bytes);
      return meters.updateBytes.observe({ task: happening.task }, happening.bytes);
    case 'update-refused':
      return meters.updates.inc({ task: happening.task, result: happening.code.toLowerCase() });
    case 'participant-declined':
      return meters.declined.inc({ task: happening.task });
    case 'round-aggregating':
      meters.participants.observe({ task: happening.task, state: 'reported' }, happening.reported);
      return meters.phaseSeconds.observe(
        { task: happening.task, phase: happening.after === 'unmasking' ? 'unmask' : 'collect' },
        happening.phaseMs / 1000,
      );
    case 'round-collecting':
      return meters.phaseSeconds.observe({ task: happening.task, phase: 'agree' }, happening.phaseMs / 1000);
    case 'round-unmasking':
      return meters.phaseSeconds.observe({ task: happening.task, phase: 'collect' }, happening.phaseMs / 1000);
    case 'client-accused':
      return meters.accusations.inc({ task: happening.task, reason: happening.code.toLowerCase() });
    case 'round-evaluating':
      return meters.phaseSeconds.observe({ task: happening.task, phase: 'aggregate' }, happening.aggregatingMs / 1000);
    case 'round-completed':
      meters.rounds.inc({ task: happening.task, outcome: 'completed', reason: '' });
      return meters.roundSeconds.observe({ task: happening.task }, happening.durationMs / 1000);
    case 'round-abandoned':
      meters.rounds.inc({ task: happening.task, outcome: 'abandoned', reason: happening.reason });
      return meters.roundSeconds.observe({ task: happening.task }, happening.durationMs / 1000);
    case 'client-enrolled':
      return meters.enrolments.inc();
    case 'client-revoked':
      return meters.revocations.inc();
    case 'bytes-sent':
      return meters.sent.inc(happening.bytes);
    case 'repaired':
      return meters.repairs.inc({ what: happening.what });
    case 'job-failed':
      return meters.failures.inc();
    case 'budget-charged':
      return meters.epsilon.set({ budget: happening.budget }, happening.epsilon);
    case 'budget-refused':
      return meters.refusals.inc({ task: happening.task });
    case 'round-opened':
    case 'task-completed':
    case 'model-uploaded':
      return;
  }
}

async function sample(meters: Meters, sampled: Sampled): Promise<void> {
  // A part that does not answer leaves its last value: a scrape must not fail with it.
  const [jobs, clients] = await Promise.allSettled([sampled.jobs(), sampled.clients()]);
  if (jobs.status === 'fulfilled') {
    for (const [name, value] of Object.entries(jobs.value)) {
      const [queue = '', state = ''] = name.split('.');
      meters.jobs.set({ queue, state }, value);
    }
  }
  if (clients.status === 'fulfilled') {
    for (const [state, value] of Object.entries(clients.value)) meters.clients.set({ state }, value);
  }
}
