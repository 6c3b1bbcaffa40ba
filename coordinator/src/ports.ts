/**
 * All ports of the coordinator on one screen: time, records, blobs, jobs, evaluation, model files. The domain sees none of them, `app/`
 * sees only these, `adapters/` implements them, `main.ts` joins them.
 */
import type {
  BudgetId,
  ClearUpdates,
  ClientId,
  ClipStep,
  Digest,
  Metrics,
  ModelName,
  PlanQuestion,
  PrivacyPlan,
  RoundId,
  SignedSeed,
  Task,
  TaskId,
  TensorSpec,
  UpdateId,
  UpdateRefusal,
} from '@carapace/aggregation';
import type { Ledger } from './domain/budget.ts';
import type { TakenPart } from './domain/participation.ts';
import type { Candidate, Instant, MessageStep, RoundState, Tally } from './domain/round.ts';

export interface Clock {
  now(): Instant;
  /** Calls back once after `delayMs`; the returned function forgets it. */
  after(delayMs: number, callback: () => void): () => void;
}

// ---- Records -------------------------------------------------------------------------------------------------------

/**
 * The truth. One implementation in SQL (PostgreSQL 15 dialect) behind a `pg.Pool`, embedded or a server.
 * `transaction` runs its body at least once: on a serialisation failure it runs again, so a body has no other effects.
 */
export interface Store extends Records {
  transaction<T>(name: string, body: (records: Records) => Promise<T>): Promise<T>;
  /** Answers when the database does. @throws when it does not within `timeoutMs` */
  ping(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

/** One function per operation; each is one statement or a few within the caller's transaction. */
export interface Records {
  // tasks
  /** @returns false when the name is taken (names are never reused). */
  insertTask(task: Task, now: Instant): Promise<boolean>;
  findTask(id: TaskId): Promise<TaskRecord | null>;
  listTasks(): Promise<TaskRecord[]>;
  /** Moves `from` to `to`; false when the task is not in one of `from`. */
  setTaskStatus(id: TaskId, from: readonly TaskStatus[], to: TaskStatus, now: Instant): Promise<boolean>;

  // rounds
  /** Allocates the next number of the task and inserts the round, unless the task is not active or has a round that is not over: then null. */
  insertRound(task: TaskId, baseVersion: number, state: RoundState, now: Instant): Promise<RoundId | null>;
  findRound(id: RoundId): Promise<RoundRecord | null>;
  /** Locks the row until the transaction ends: everything that steps a round or closes it to updates goes through here. */
  lockRound(id: RoundId): Promise<RoundRecord | null>;
  updateRound(id: RoundId, state: RoundState, now: Instant): Promise<void>;
  listRounds(task: TaskId, limit: number): Promise<RoundRecord[]>;
  /** Every round that has not ended, of all tasks. */
  listRunningRounds(): Promise<RoundRecord[]>;
  /** Completed rounds of the task, and consecutive abandoned ones since the last completed. */
  countRounds(task: TaskId): Promise<{ readonly completed: number; readonly abandonedInARow: number }>;
  appendRoundEvent(id: RoundId, at: Instant, kind: string, detail: Readonly<Record<string, unknown>>): Promise<void>;
  listRoundEvents(id: RoundId): Promise<RoundEventRecord[]>;

  // cohort
  /** Active clients with `waiting_until > now` that are not outstanding in a running round. */
  listCandidates(now: Instant): Promise<Candidate[]>;
  insertParticipants(round: RoundId, clients: readonly ClientId[], now: Instant): Promise<void>;
  listParticipants(round: RoundId): Promise<ParticipantRecord[]>;
  /** The round for which the client is `selected` and which is agreeing or collecting, if there is one. */
  findAssignment(client: ClientId): Promise<RoundRecord | null>;
  /** {@link findAssignment} for many clients at once: those of them that are selected, with the round. */
  listAssignments(clients: readonly ClientId[]): Promise<{ readonly client: ClientId; readonly round: RoundId }[]>;
  tally(round: RoundId): Promise<Tally>;
  /** `selected` to another status, with the reason; false when the client is not `selected` in it. */
  setParticipantStatus(
    round: RoundId,
    client: ClientId,
    status: 'declined',
    reason: string,
    now: Instant,
  ): Promise<boolean>;
  /** Everyone still `selected` becomes `dismissed`, but for those named. */
  dismissParticipants(round: RoundId, except: readonly ClientId[], now: Instant): Promise<void>;

  // updates
  /**
   * Decides many updates in one transaction, each alone, in this order of refusal: client not active (`CLIENT_REVOKED`);
   * the same update id and digest already accepted for this client and round (answers its receipt again, whatever the round
   * does now); not in the cohort (`NOT_IN_COHORT`); another accepted update of this (round, client) (`UPDATE_DUPLICATE`);
   * round not collecting (`ROUND_NOT_COLLECTING`). Takes a share lock on the round, so that no update is accepted after
   * `lockRound` saw its tally. Accepting sets the participant to `reported`.
   */
  admitUpdates(updates: readonly UpdateSubmission[]): Promise<Admission[]>;
  /** Accepted updates ordered by client id: the order of aggregation. Updates of clients revoked since are left out. */
  listAcceptedUpdates(round: RoundId): Promise<UpdateRecord[]>;
  /** The blobs of every accepted update of the round, revoked clients' too: what is to be deleted when it has ended. */
  listUpdateDigests(round: RoundId): Promise<Digest[]>;
  findUpdate(id: UpdateId): Promise<UpdateRecord | null>;
  /** Those of every accepted update of the round, revoked clients' too, by the digest of the update. */
  listDeposits(round: RoundId): Promise<ReadonlyMap<Digest, Uint8Array>>;
  /** Keeps a refusal for the time line and the counters; refusing again is harmless. */
  recordRefusal(round: RoundId, client: ClientId, update: UpdateId, code: UpdateRefusal, now: Instant): Promise<void>;

  // noise of the coordinator
  /** 32 bytes that only this round's noise is drawn from; kept until it has ended. */
  insertRoundSecret(round: RoundId, secret: Uint8Array): Promise<void>;
  findRoundSecret(round: RoundId): Promise<Uint8Array | null>;
  /** What the updates of the round are clipped to, where that is not the same in all rounds: before anybody is selected. */
  setRoundClip(round: RoundId, clip: number): Promise<void>;
  /** The noisy share of its updates that were within; of a round that is aggregating, else nothing is changed. */
  noteWithinClip(round: RoundId, within: number): Promise<void>;
  /** Of the latest round of the task that found out, null before the first. */
  findClipStep(task: TaskId): Promise<ClipStep | null>;
  /** Of correlated noise, one that was released by the round; each but once. */
  insertNoiseStep(task: TaskId, step: NoiseStep, round: RoundId): Promise<void>;
  /** The latest of the task, null before the first. */
  findNoiseStep(task: TaskId): Promise<NoiseStep | null>;
  /** What the next steps of tasks that may have some begin from. */
  listNoiseStates(): Promise<Digest[]>;
  /** Whose updates were admitted to rounds of the task, revoked clients' too, by the numbers of the rounds. */
  listParticipations(task: TaskId): Promise<Participation[]>;
  /** The same of rounds that released a step of noise, by the numbers of the steps. */
  listStepParticipations(task: TaskId): Promise<Participation[]>;

  // secure aggregation
  /** False unless its serial is above every earlier one. */
  insertRoster(roster: Omit<RosterRecord, 'publishedAt'>, now: Instant): Promise<boolean>;
  /** The newest. */
  findRoster(): Promise<RosterRecord | null>;
  /** Raw Ed25519 keys, in order of the client ids. */
  listClientKeys(
    clients: readonly ClientId[],
  ): Promise<{ readonly client: ClientId; readonly publicKey: Uint8Array }[]>;
  insertSession(round: RoundId, session: Uint8Array, roster: Uint8Array): Promise<void>;
  findSession(round: RoundId): Promise<SessionRecord | null>;
  fixSurvivors(round: RoundId, survivors: readonly Survivor[]): Promise<void>;
  /**
   * Keeps a message of the step that the round is in, one per member and step. Takes a share lock on the round, so that a step
   * that closed under `lockRound` gets no further message.
   */
  admitProtocolMessage(round: RoundId, message: ProtocolMessage): Promise<ProtocolAdmission>;
  /** Of one step, in order of the members, without those of the members named. */
  listProtocolMessages(
    round: RoundId,
    step: ProtocolMessage['step'],
    except: readonly number[],
  ): Promise<ProtocolMessage[]>;
  /** The session, every message of it, the deposits beside the updates of its round, and its secret. */
  deleteSession(round: RoundId): Promise<void>;
  /** Those of all rounds that have ended. */
  deleteEndedSessions(): Promise<void>;

  // clients
  insertClient(client: NewClient, now: Instant): Promise<void>;
  findClient(id: ClientId): Promise<ClientRecord | null>;
  /** By the fingerprint of its current key: what authenticates a request. */
  findClientByKey(key: string): Promise<ClientRecord | null>;
  listClients(): Promise<ClientRecord[]>;
  /** Those of the clients that were revoked. */
  listRevoked(clients: readonly ClientId[]): Promise<ClientId[]>;
  /** Active to revoked, and its part in running rounds (selected or reported) to revoked too; false when it was not active. */
  revokeClient(id: ClientId, reason: string, now: Instant): Promise<boolean>;
  /** Seen now, and waiting for work until then (0: not waiting). Many at once. */
  recordPresence(presences: readonly Presence[]): Promise<void>;
  /**
   * Replay protection (a 64-wide sliding window per client, as in RFC 4303 section 3.4.3, kept in the records): true for a
   * number above the window or unseen within it, which it marks; false for one seen or below the window. Many at once, in order.
   */
  acceptSequences(
    numbers: readonly { readonly client: ClientId; readonly sequence: bigint }[],
  ): Promise<SequenceVerdict[]>;

  // enrolment tokens and API keys
  insertToken(token: NewToken, now: Instant): Promise<void>;
  listTokens(): Promise<TokenRecord[]>;
  /** Null unless the token exists, is unused, unrevoked, unexpired, and its secret hash equals (compared in constant time). */
  consumeToken(id: string, secretHash: Uint8Array, usedBy: ClientId, now: Instant): Promise<TokenRecord | null>;
  findToken(id: string): Promise<TokenRecord | null>;
  revokeToken(id: string, now: Instant): Promise<boolean>;
  insertApiKey(key: NewApiKey, now: Instant): Promise<void>;
  findApiKey(id: string): Promise<ApiKeyRecord | null>;
  listApiKeys(): Promise<ApiKeyRecord[]>;
  revokeApiKey(id: string, now: Instant): Promise<boolean>;

  // models
  /** Publishes the next version of the model (1, 2, …) and moves channel `latest`; versions are never changed or deleted. */
  insertVersion(version: NewVersion, now: Instant): Promise<VersionRecord>;
  findVersion(model: ModelName, version: number): Promise<VersionRecord | null>;
  findChannel(model: ModelName, channel: string): Promise<VersionRecord | null>;
  /** False when the version does not exist. */
  moveChannel(model: ModelName, channel: string, version: number, now: Instant): Promise<boolean>;
  listModels(): Promise<ModelRecord[]>;
  listVersions(model: ModelName): Promise<VersionRecord[]>;

  // privacy ledger
  /** The last entry, null when there is none; until the transaction ends nobody else appends. */
  lockLedger(): Promise<LedgerHead>;
  ledgerHead(): Promise<LedgerHead>;
  /** Only under {@link lockLedger}. */
  insertLedger(record: LedgerRecord): Promise<void>;
  listLedger(after: number, limit: number): Promise<LedgerRecord[]>;

  // audit
  /** Appends to the hash chain: `hash = SHA-256(domain || previous hash || entry)`. */
  appendAudit(entry: AuditEntry): Promise<void>;
  listAudit(after: number, limit: number): Promise<AuditRecord[]>;
}

export type TaskStatus = 'active' | 'paused' | 'stopped' | 'completed';

export interface TaskRecord {
  readonly task: Task;
  readonly status: TaskStatus;
  readonly createdAt: Instant;
  readonly updatedAt: Instant;
}

export interface RoundRecord {
  readonly id: RoundId;
  readonly task: TaskId;
  readonly number: number;
  /** The model version that the round starts from. */
  readonly baseVersion: number;
  /** Of updates, where it moves from round to round; else null. */
  readonly clip: number | null;
  readonly state: RoundState;
  readonly createdAt: Instant;
  readonly updatedAt: Instant;
}

export interface RoundEventRecord {
  readonly at: Instant;
  readonly kind: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A released step of correlated noise, from 1 on, and the blob of the state after it, among the updates. */
export interface NoiseStep {
  readonly step: number;
  readonly state: Digest;
}

export type Participation = TakenPart;

export type ParticipantStatus = 'selected' | 'reported' | 'declined' | 'revoked' | 'dismissed';

export interface ParticipantRecord {
  readonly client: ClientId;
  readonly status: ParticipantStatus;
  readonly reason: string | null;
  readonly selectedAt: Instant;
  readonly updatedAt: Instant;
}

export interface UpdateSubmission {
  readonly update: UpdateId;
  readonly round: RoundId;
  readonly client: ClientId;
  readonly digest: Digest;
  readonly bytes: number;
  readonly examples: number;
  readonly metrics: Metrics;
  /** What goes with a share of an update to the second aggregator; null with any other protection. */
  readonly deposit: Uint8Array | null;
  readonly at: Instant;
}

export type UpdateRecord = UpdateSubmission;

export type Admission =
  | { readonly kind: 'accepted'; readonly record: UpdateRecord; readonly again: boolean }
  | { readonly kind: 'refused'; readonly code: UpdateRefusal };

/** A roster as its authority signed it. */
export interface RosterRecord {
  readonly digest: Digest;
  readonly serial: number;
  readonly bytes: Uint8Array;
  readonly publishedAt: Instant;
}

export interface SessionRecord {
  readonly session: Uint8Array;
  readonly roster: Uint8Array;
  /** Null as long as inputs are taken. */
  readonly survivors: readonly Survivor[] | null;
}

/** A member of the cohort whose masked input is in the sum. */
export interface Survivor {
  readonly member: number;
  readonly digest: Digest;
}

export interface ProtocolMessage {
  readonly step: MessageStep;
  readonly member: number;
  readonly message: Uint8Array;
}

/** `again`: this very message was there; `other`: another one was; `closed`: the round is not in this step. */
export type ProtocolAdmission = 'accepted' | 'again' | 'other' | 'closed';

export interface NewClient {
  readonly id: ClientId;
  readonly name: string;
  readonly site: string;
  /** Raw Ed25519 key, 32 bytes, and its fingerprint. */
  readonly publicKey: Uint8Array;
  readonly key: string;
}

export interface ClientRecord extends NewClient {
  readonly status: 'active' | 'revoked';
  readonly enrolledAt: Instant;
  readonly lastSeenAt: Instant | null;
  readonly waitingUntil: Instant;
  readonly revokedAt: Instant | null;
  readonly revokedReason: string | null;
}

export interface SequenceVerdict {
  readonly accepted: boolean;
  /** The highest number accepted so far, for a client that lost count. */
  readonly highest: bigint;
}

export interface Presence {
  readonly client: ClientId;
  readonly seenAt: Instant;
  readonly waitingUntil: Instant;
}

export interface NewToken {
  readonly id: string;
  readonly secretHash: Uint8Array;
  readonly site: string;
  readonly expiresAt: Instant;
  readonly createdBy: string;
}

export interface TokenRecord extends NewToken {
  readonly createdAt: Instant;
  readonly usedAt: Instant | null;
  readonly usedBy: ClientId | null;
  readonly revokedAt: Instant | null;
}

export type Role = 'admin' | 'operator' | 'auditor';

export interface NewApiKey {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly secretHash: Uint8Array;
}

export interface ApiKeyRecord extends NewApiKey {
  readonly createdAt: Instant;
  readonly revokedAt: Instant | null;
}

export interface NewVersion {
  readonly model: ModelName;
  readonly weights: Digest;
  readonly topology: Digest;
  readonly tensors: readonly TensorSpec[];
  /** Null for an uploaded initial version. */
  readonly round: RoundId | null;
  readonly parent: number | null;
  readonly metrics: Metrics;
  readonly cohort: number | null;
  /** Signed JSON manifest over all of the above and the version's number: built by the caller from the number it is given. */
  readonly manifest: (version: number) => {
    readonly payload: string;
    readonly signature: string;
    readonly key: string;
  };
}

export interface VersionRecord extends Omit<NewVersion, 'manifest'> {
  readonly version: number;
  readonly manifest: { readonly payload: string; readonly signature: string; readonly key: string };
  readonly createdAt: Instant;
}

export interface ModelRecord {
  readonly name: ModelName;
  readonly versions: number;
  readonly channels: Readonly<Record<string, number>>;
  readonly updatedAt: Instant;
}

export type LedgerHead = { readonly sequence: number; readonly hash: string } | null;

export interface LedgerRecord {
  /** From 1 on, without gaps. */
  readonly sequence: number;
  readonly at: Instant;
  readonly actor: string;
  /** JSON, as it was hashed. */
  readonly entry: string;
  readonly previousHash: string;
  readonly hash: string;
}

/**
 * Where the privacy ledger ends, kept apart from the records: a database that was restored from a backup has forgotten what was spent since,
 * and is found out. Written before the transaction commits that adds to the ledger.
 */
export interface Mark {
  /** The last entry before that transaction. */
  readonly base: LedgerHead;
  /** What the transaction adds. */
  readonly added: readonly LedgerRecord[];
}

export interface LedgerMark {
  read(): Promise<Mark | null>;
  /** Durable when it resolves. */
  write(mark: Mark): Promise<void>;
}

export interface AuditEntry {
  readonly at: Instant;
  readonly actor: string;
  readonly action: string;
  readonly object: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface AuditRecord extends AuditEntry {
  readonly sequence: number;
  readonly previousHash: string;
  readonly hash: string;
}

// ---- Blobs ---------------------------------------------------------------------------------------------------------

/** Immutable bytes named by their SHA-256, durable before they are acknowledged. */
export interface BlobStore {
  put(bytes: Uint8Array): Promise<Digest>;
  /** @throws CoordinatorError `BLOB_NOT_FOUND`, or `BLOB_CORRUPT` when the bytes no longer have their digest */
  get(digest: Digest): Promise<Uint8Array<ArrayBuffer>>;
  /** Streams, for answers; null when absent. */
  open(digest: Digest): Promise<{ readonly bytes: number; readonly stream: NodeJS.ReadableStream } | null>;
  has(digest: Digest): Promise<boolean>;
  delete(digest: Digest): Promise<void>;
  /** A resumable upload, kept on disk under `key` ([a-z0-9_]{1,64}): survives kill -9 at the offset that was last acknowledged. */
  upload(key: string): Promise<PendingUpload>;
  /** Drops pending uploads that were not touched since `before`. @returns how many */
  sweepUploads(before: Instant): Promise<number>;
  /** Drops blobs that got their name before `before` and are not `wanted`. @returns how many */
  sweepBlobs(before: Instant, wanted: (digest: Digest) => boolean): Promise<number>;
}

export interface PendingUpload {
  /** Bytes that are durable. */
  readonly received: number;
  /** Writes at `received`; returns once the bytes are durable. Refuses to grow beyond `limit`. */
  append(chunk: AsyncIterable<Uint8Array>, limit: number): Promise<number>;
  /** The bytes so far: what is judged before anything gets a name. */
  read(): Promise<Uint8Array<ArrayBuffer>>;
  /** Checks the digest over the whole, moves the bytes to their name. @returns false (and keeps nothing) when the digest differs */
  commit(digest: Digest): Promise<boolean>;
  discard(): Promise<void>;
}

// ---- Jobs ----------------------------------------------------------------------------------------------------------

/** A nudge: it says where to look, never what is true there. Running it twice, late or not at all loses nothing. */
export type Job =
  | { readonly kind: 'open-round'; readonly task: TaskId }
  | { readonly kind: 'step-round'; readonly round: RoundId }
  | { readonly kind: 'aggregate'; readonly round: RoundId }
  | { readonly kind: 'evaluate'; readonly round: RoundId };

export type JobHandlers = { readonly [K in Job['kind']]: (job: Extract<Job, { kind: K }>) => Promise<void> };

export interface JobQueue {
  /** At once, or not before `at`. A job with a `key` that is still waiting or running is not added twice. */
  add(job: Job, options?: { readonly at?: Instant; readonly key?: string }): Promise<void>;
  /** Repeats `open-round` for a task until `unschedule`; replaces an earlier schedule of the task. */
  schedule(task: TaskId, every: { readonly seconds: number } | { readonly cron: string }): Promise<void>;
  unschedule(task: TaskId): Promise<void>;
  /** The tasks that have a schedule now: after a wiped queue the reconciler schedules the missing ones again. */
  scheduled(): Promise<readonly TaskId[]>;
  /** Starts the workers of this process. */
  work(handlers: JobHandlers): Promise<void>;
  counts(): Promise<Readonly<Record<string, number>>>;
  /** False when the backend does not answer: rounds go on, because the records are the truth. */
  healthy(timeoutMs: number): Promise<boolean>;
  /** Begins nothing more and waits for what runs; what has not ended in time is given back, and tried again by whoever works then. */
  close(deadlineMs: number): Promise<void>;
}

// ---- Work off the event loop ------------------------------------------------------------------------------------------

/** Sums the updates of a round and takes the server's step, in a worker thread: pure of the records, so it may run twice. */
export interface AggregationWork {
  /** The digest of the new weights, which are a durable blob by then. Updates are given in the order of their client ids. */
  aggregate(input: AggregationInput): Promise<Aggregated>;
  /** The same for masked or shared inputs, given in any order; null when their sum, uncovered, is no sum of updates. */
  open(input: OpeningInput): Promise<Aggregated | null>;
  close(): Promise<void>;
}

export interface Aggregated {
  readonly weights: Digest;
  readonly examples: number;
  /** The state of correlated noise after the step, durable among the updates; null without. */
  readonly noiseState: Digest | null;
  /** The noisy share of the updates that were within their clip, where it moves; else null. */
  readonly within: number | null;
}

export interface AggregationInput {
  readonly round: RoundId;
  readonly base: Digest;
  readonly tensors: readonly TensorSpec[];
  readonly maxExamples: number;
  readonly strategy: Task['strategy'];
  readonly protection: ClearUpdates;
  /** Of a round to whose sum the coordinator adds noise. */
  readonly secret: Uint8Array | null;
  /** What the sum is divided by whoever came; null for how many came. */
  readonly over: number | null;
  /** The state of correlated noise before this step, null before the first; undefined where rounds have noise of their own. */
  readonly noiseState?: Digest | null;
  readonly updates: readonly Digest[];
}

export interface OpeningInput {
  readonly base: Digest;
  readonly tensors: readonly TensorSpec[];
  readonly strategy: Task['strategy'];
  /** What the lanes hold: quantised updates, or updates with noise. */
  readonly protection: Task['protection'];
  /** Of a round to whose sum the coordinator adds noise. */
  readonly secret: Uint8Array | null;
  readonly order: OpenOrder;
}

/** What is added up, and what takes the protection off the sum. */
export type OpenOrder =
  | {
      readonly kind: 'masks';
      /** Encoded. */
      readonly session: Uint8Array;
      readonly inputs: readonly Digest[];
      /** What did not cancel in the sum. */
      readonly masks: readonly SignedSeed[];
    }
  | {
      readonly kind: 'shares';
      /** Encoded. */
      readonly session: Uint8Array;
      /** Those whose shares the aggregator added up. */
      readonly inputs: readonly Survivor[];
      /** The aggregator's message. */
      readonly sum: Digest;
    };

/** Plans of private training: seconds of arithmetic, pure of the records. */
export interface PlanningWork {
  /** @throws CoordinatorError `PLAN_BUSY`, `PLAN_TOO_LONG` or `UNAVAILABLE`, or what the planner and the budgets refuse */
  plan(input: PlanningInput): Promise<PrivacyPlan>;
  close(): Promise<void>;
}

export interface PlanningInput {
  readonly question: PlanQuestion;
  /** What they have left is told; all of them are in the ledger. */
  readonly budgets: readonly BudgetId[];
  readonly ledger: Ledger;
  readonly now: Instant;
}

// ---- Evaluation ----------------------------------------------------------------------------------------------------

/** Judges new weights on data that the coordinator's owner holds. Without one, a version carries the clients' metrics only. */
export interface Evaluator {
  evaluate(model: {
    readonly topology: string;
    readonly tensors: readonly TensorSpec[];
    readonly weights: Float32Array;
  }): Promise<Metrics>;
  close(): Promise<void>;
}

// ---- Model files ---------------------------------------------------------------------------------------------------

/** Writes a version in a format that is not Carapace's own. Without one there is no such file. */
export interface ModelWriter {
  /**
   * An ONNX model of the architecture, in pieces between which the bytes of the tensors belong: piece i comes before tensor i, the
   * last one after all of them. Or why the architecture cannot be written so.
   */
  onnx(model: {
    readonly topology: string;
    readonly tensors: readonly TensorSpec[];
  }): Promise<readonly Uint8Array[] | { readonly unsupported: string }>;
}
