/**
 * What happened, for whoever counts it (telemetry) or shows it (the CLI): a closed union, told after the fact is durable. Nothing
 * depends on a listener; a listener never throws into the app.
 */
import type {
  BudgetId,
  ClientId,
  Metrics,
  ModelName,
  RoundId,
  SecaggRefusal,
  TaskId,
  UpdateRefusal,
} from '@carapace/aggregation';
import type { AbandonReason, Instant } from '../domain/round.ts';

interface InRound {
  readonly at: Instant;
  readonly task: TaskId;
  readonly round: RoundId;
}

export type Happening =
  | (InRound & { readonly kind: 'round-opened'; readonly baseVersion: number })
  | (InRound & { readonly kind: 'cohort-selected'; readonly clients: readonly ClientId[]; readonly deadline: Instant })
  | (InRound & {
      readonly kind: 'update-admitted';
      readonly client: ClientId;
      readonly bytes: number;
      readonly examples: number;
      readonly metrics: Metrics;
    })
  | (InRound & { readonly kind: 'update-refused'; readonly client: ClientId; readonly code: UpdateRefusal })
  | (InRound & { readonly kind: 'participant-declined'; readonly client: ClientId; readonly reason: string })
  | (InRound & { readonly kind: 'round-collecting'; readonly clients: number; readonly phaseMs: number })
  | (InRound & { readonly kind: 'round-unmasking'; readonly reported: number; readonly phaseMs: number })
  | (InRound & { readonly kind: 'client-accused'; readonly client: ClientId; readonly code: SecaggRefusal })
  | (InRound & {
      readonly kind: 'round-aggregating';
      readonly reported: number;
      /** The phase before, and how long it took. */
      readonly after: 'collecting' | 'unmasking';
      readonly phaseMs: number;
    })
  | (InRound & { readonly kind: 'round-evaluating'; readonly aggregatingMs: number })
  | (InRound & {
      readonly kind: 'round-completed';
      readonly version: number;
      readonly reported: number;
      readonly metrics: Metrics;
      /** From opening to publishing. */
      readonly durationMs: number;
    })
  | (InRound & { readonly kind: 'round-abandoned'; readonly reason: AbandonReason; readonly durationMs: number })
  | {
      /** A round was reserved in a privacy budget, which then stands at epsilon. */
      readonly kind: 'budget-charged';
      readonly at: Instant;
      readonly task: TaskId;
      readonly round: RoundId;
      readonly budget: BudgetId;
      readonly epsilon: number;
      readonly limit: number;
    }
  /** No round opens: the task is paused. */
  | { readonly kind: 'budget-refused'; readonly at: Instant; readonly task: TaskId; readonly why: string }
  | { readonly kind: 'task-completed'; readonly at: Instant; readonly task: TaskId; readonly rounds: number }
  | {
      readonly kind: 'client-enrolled';
      readonly at: Instant;
      readonly client: ClientId;
      readonly name: string;
      readonly site: string;
    }
  | { readonly kind: 'client-revoked'; readonly at: Instant; readonly client: ClientId; readonly reason: string }
  | { readonly kind: 'model-uploaded'; readonly at: Instant; readonly model: ModelName; readonly version: number }
  | { readonly kind: 'bytes-sent'; readonly at: Instant; readonly bytes: number }
  | { readonly kind: 'repaired'; readonly at: Instant; readonly what: 'round' | 'schedule' | 'job' }
  | { readonly kind: 'job-failed'; readonly at: Instant; readonly job: string; readonly error: unknown };

export type Listener = (happening: Happening) => void;
