/** What a coordinator's operator routes answer, as `/openapi.json` describes it. */
import type { Digest, Metrics, ModelName, RoundId } from '@carapace/aggregation';
import type {
  ClientRecord,
  ModelRecord,
  ParticipantRecord,
  RoundEventRecord,
  RoundRecord,
  TaskRecord,
  TokenRecord,
} from '@carapace/coordinator';

export interface TaskList {
  readonly tasks: readonly TaskRecord[];
}

export interface RoundList {
  readonly rounds: readonly RoundRecord[];
}

export interface RoundPage {
  readonly round: RoundRecord;
  readonly participants: readonly ParticipantRecord[];
  readonly timeline: readonly RoundEventRecord[];
}

export type Client = Omit<ClientRecord, 'publicKey'>;

export interface ClientList {
  readonly clients: readonly Client[];
}

export type Token = Omit<TokenRecord, 'secretHash'>;

export interface TokenList {
  readonly tokens: readonly Token[];
}

export interface ModelList {
  readonly models: readonly ModelRecord[];
}

export interface Version {
  readonly model: ModelName;
  readonly version: number;
  readonly createdAt: number;
  readonly metrics: Metrics;
  readonly parameters: number;
  readonly lineage: { readonly round: RoundId | null; readonly parent: number | null; readonly cohort: number | null };
  readonly digests: { readonly weights: Digest; readonly topology: Digest };
}

export interface VersionList {
  readonly versions: readonly Version[];
}
