/** What every part of the app is given: the ports, the key, and where happenings go. */
import type { RandomSource, SigningKey } from '@carapace/crypto';
import type {
  AggregationWork,
  BlobStore,
  Clock,
  Evaluator,
  JobQueue,
  LedgerMark,
  PlanningWork,
  Store,
} from '../ports.ts';
import type { Listener } from './happenings.ts';

export interface Context {
  readonly store: Store;
  /** Weights and topologies: anyone who may read a model may read these. */
  readonly models: BlobStore;
  /** Updates of running rounds: nobody reads these but the aggregation, and they are deleted when their round ends. */
  readonly updates: BlobStore;
  readonly queue: JobQueue;
  readonly work: AggregationWork;
  readonly planning: PlanningWork;
  /** Of the privacy ledger. */
  readonly mark: LedgerMark;
  readonly evaluator: Evaluator | null;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly key: SigningKey;
  readonly emit: Listener;
}
