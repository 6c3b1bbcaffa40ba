/**
 * What the coordinator does, as its HTTP edge calls it. Every method is already authorised: who may call it is the edge's
 * question, what it means is the app's. Refusals that a caller can cause are `CoordinatorError`s with a stable code.
 */
import type {
  BudgetId,
  ClientId,
  Digest,
  ModelName,
  PrivacyPlan,
  RoundId,
  SignedDocument,
  Task,
  TaskId,
  UpdateId,
} from '@carapace/aggregation';
import type { PublicKey } from '@carapace/crypto';
import type { BudgetTerms, Spent } from '../domain/budget.ts';
import type { Instant, MessageStep, ProtocolStep } from '../domain/round.ts';
import type {
  ApiKeyRecord,
  AuditRecord,
  ClientRecord,
  LedgerRecord,
  ModelRecord,
  ParticipantRecord,
  Role,
  RosterRecord,
  RoundEventRecord,
  RoundRecord,
  SequenceVerdict,
  SessionRecord,
  TaskRecord,
  TokenRecord,
  VersionRecord,
} from '../ports.ts';
import type { Forecast } from './privacy/statement.ts';

/** Who acts, for the audit: `key:<api key id>` or `client:<client id>` or `system`. */
export type Actor = string;

export interface CoordinatorApi {
  readonly publicKey: PublicKey;

  // --- operators
  createTask(task: Task, actor: Actor): Promise<TaskRecord>;
  findTask(id: TaskId): Promise<TaskRecord>;
  listTasks(): Promise<TaskRecord[]>;
  pauseTask(id: TaskId, actor: Actor): Promise<TaskRecord>;
  resumeTask(id: TaskId, actor: Actor): Promise<TaskRecord>;
  /** Ends the task for good; a round that runs is abandoned with `task-stopped`. */
  stopTask(id: TaskId, actor: Actor): Promise<TaskRecord>;
  /** Whether there is a task of whose rounds nobody outside may know who took part, or how many. */
  hidesCohorts(): Promise<boolean>;
  listRounds(task: TaskId, limit: number): Promise<RoundRecord[]>;
  showRound(id: RoundId): Promise<{
    readonly round: RoundRecord;
    readonly participants: readonly ParticipantRecord[];
    readonly timeline: readonly RoundEventRecord[];
  }>;

  listClients(): Promise<ClientRecord[]>;
  findClient(id: ClientId): Promise<ClientRecord>;
  revokeClient(id: ClientId, reason: string, actor: Actor): Promise<ClientRecord>;

  /** The token's text is returned once and never stored. */
  createToken(
    options: { readonly site: string; readonly ttlSeconds: number },
    actor: Actor,
  ): Promise<{ readonly record: TokenRecord; readonly token: string }>;
  listTokens(): Promise<TokenRecord[]>;
  revokeToken(id: string, actor: Actor): Promise<void>;
  createApiKey(
    options: { readonly name: string; readonly role: Role },
    actor: Actor,
  ): Promise<{ readonly record: ApiKeyRecord; readonly key: string }>;
  listApiKeys(): Promise<ApiKeyRecord[]>;
  revokeApiKey(id: string, actor: Actor): Promise<void>;
  /** The key behind a bearer text, or null; constant time in the secret. */
  authenticateApiKey(text: string): Promise<ApiKeyRecord | null>;

  /** A safetensors file whose metadata has `topology` (the tfjs `modelTopology` JSON): becomes the next version. */
  uploadModel(name: ModelName, safetensors: Uint8Array, actor: Actor): Promise<VersionRecord>;
  moveChannel(name: ModelName, channel: string, version: number, actor: Actor): Promise<VersionRecord>;
  listAudit(after: number, limit: number): Promise<AuditRecord[]>;

  /** A roster that an enrolment authority signed: from now on cohorts of secure aggregation are taken from it. @throws `ROSTER_OLD` */
  publishRoster(roster: Uint8Array, actor: Actor): Promise<RosterRecord>;
  /** The newest. @throws `ROSTER_NOT_FOUND` */
  findRoster(): Promise<RosterRecord>;

  /** @throws `BUDGET_TERMS` */
  setBudget(budget: BudgetId, terms: BudgetTerms, actor: Actor): Promise<Spent>;
  /** @throws `BUDGET_NOT_FOUND` */
  findBudget(budget: BudgetId): Promise<Spent>;
  listBudgets(): Promise<Spent[]>;
  /** How many more rounds of the task its budgets hold. */
  forecast(task: TaskId): Promise<Forecast[]>;
  /**
   * What private training would cost and leave, with what is known here where the question says nothing, and what is left of budgets.
   * @throws AggregationError `PLAN_INVALID`, `TASK_INVALID` or `PRIVACY_TARGET_UNREACHABLE`
   * @throws CoordinatorError `PLAN_TOO_LONG`, `PLAN_BUSY`, `BUDGET_NOT_FOUND`, `BUDGET_VIEW` or `VERSION_NOT_FOUND`
   */
  plan(question: Readonly<Record<string, unknown>>): Promise<PrivacyPlan>;
  listLedger(after: number, limit: number): Promise<LedgerRecord[]>;
  /** Takes the ledger as it is; the number of its last entry. */
  acceptLedger(actor: Actor): Promise<number>;

  // --- anyone (when model reads are public)
  listModels(): Promise<ModelRecord[]>;
  listVersions(name: ModelName): Promise<VersionRecord[]>;
  findVersion(name: ModelName, version: number): Promise<VersionRecord>;
  findChannel(name: ModelName, channel: string): Promise<VersionRecord>;

  // --- clients
  enrol(request: EnrolRequest): Promise<Enrolment>;
  /** The active client behind a key fingerprint, or null. A revocation shows within 2 s, on every process. */
  authenticateClient(key: string): Promise<ClientRecord | null>;
  /** Not accepted when the number was used before: a replay. Durable before it answers. */
  acceptSequence(client: ClientId, sequence: bigint): Promise<SequenceVerdict>;
  /** Waits up to `waitMs` for work; ends early, without an assignment, when the signal fires. */
  checkIn(client: ClientRecord, waitMs: number, signal: AbortSignal): Promise<CheckIn>;
  /** @throws `ROUND_NOT_FOUND` or `ROUND_OVER` */
  assignmentOf(client: ClientRecord, round: RoundId): Promise<SignedDocument>;
  decline(client: ClientRecord, round: RoundId, reason: string): Promise<void>;
  /** One chunk of an update, at `offset` of `total`; the last chunk admits it. */
  uploadUpdate(client: ClientRecord, upload: UpdateChunk): Promise<UploadAnswer>;
  uploadStatus(client: ClientRecord, round: RoundId, update: UpdateId): Promise<UploadAnswer>;
  /** What the cohort of a round with secure aggregation is asked to agree on. @throws `ROUND_NOT_FOUND` or `ROUND_OVER` */
  invitation(client: ClientRecord, round: RoundId): Promise<Pick<SessionRecord, 'session' | 'roster'>>;
  /** Judged and durable when it answers; the same message again is the same. @throws `PROTOCOL_REFUSED` or `PROTOCOL_STEP` */
  sendProtocolMessage(client: ClientRecord, round: RoundId, step: MessageStep, message: Uint8Array): Promise<void>;
  /** What the client is to answer in this step; waits up to `waitMs` for the round to be in it. @throws `ROUND_OVER` */
  receiveProtocolMessage(
    client: ClientRecord,
    round: RoundId,
    step: ReadStep,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<ProtocolAnswer>;
  // --- second aggregators: enrolled as clients are, and named by tasks
  /** What waits for this aggregator; waits up to `waitMs` for something to do so. */
  aggregatorWork(client: ClientRecord, waitMs: number, signal: AbortSignal): Promise<AggregatorWork>;
  /** It takes no part in a round, which ends by that; `unopened` names the members whose shares do not open. */
  declineAggregation(client: ClientRecord, round: RoundId, reason: string, unopened: readonly number[]): Promise<void>;
  /** One chunk of the sum of its shares. @throws `PROTOCOL_REFUSED`, `PROTOCOL_STEP` or `UPLOAD_OFFSET` */
  uploadSum(client: ClientRecord, chunk: SumChunk): Promise<SumAnswer>;

  /** Weights or topology of a version that the client is assigned to train, or of any published version. */
  openBlob(digest: Digest): Promise<{ readonly bytes: number; readonly stream: NodeJS.ReadableStream }>;

  // --- health
  readiness(): Promise<{
    readonly ready: boolean;
    readonly checks: Readonly<Record<string, 'ok' | 'degraded' | 'failing'>>;
  }>;
}

export interface EnrolRequest {
  /** `cpt1.<id>.<secret>.<pin>`; the pin is the client's to check. */
  readonly token: string;
  readonly publicKey: PublicKey;
  readonly name: string;
}

/** Signed by the coordinator under `DOMAINS.enrolment`: {@link EnrolmentGrant}. */
export type Enrolment = SignedDocument;

export interface EnrolmentGrant {
  readonly client: ClientId;
  readonly site: string;
  /** Fingerprint of the client's key that was enrolled: binds the grant to this request. */
  readonly key: string;
  /** base64url of the coordinator's public key; its fingerprint must be the pin of the token. */
  readonly coordinatorKey: string;
  readonly enrolledAt: Instant;
}

/** The steps in which a client reads something: before the first it reads the invitation. */
export type ReadStep = Exclude<ProtocolStep, 'advertise-keys' | 'opening'>;

export type ProtocolAnswer =
  { readonly kind: 'message'; readonly message: Uint8Array } | { readonly kind: 'idle'; readonly retryAfterMs: number };

export type CheckIn =
  | { readonly kind: 'assigned'; readonly assignment: SignedDocument }
  | { readonly kind: 'idle'; readonly retryAfterMs: number; readonly reason: 'nothing-yet' | 'shutting-down' };

export interface UpdateChunk {
  readonly round: RoundId;
  readonly update: UpdateId;
  readonly digest: Digest;
  readonly offset: number;
  readonly total: number;
  readonly body: AsyncIterable<Uint8Array>;
}

export type AggregatorWork =
  /** A key for a round that begins. */
  | {
      readonly kind: 'key';
      readonly round: RoundId;
      readonly session: Uint8Array;
      readonly roster: Uint8Array;
    }
  /** The sum of the shares that these deposits hold. */
  | { readonly kind: 'sum'; readonly round: RoundId; readonly request: Uint8Array }
  | { readonly kind: 'idle'; readonly retryAfterMs: number };

export type SumChunk = Omit<UpdateChunk, 'update'>;

export type SumAnswer = { readonly kind: 'partial'; readonly received: number } | { readonly kind: 'taken' };

export type UploadAnswer =
  | { readonly kind: 'partial'; readonly received: number }
  | { readonly kind: 'admitted'; readonly receipt: SignedDocument };
