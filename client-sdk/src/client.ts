/** `FederatedClient`: the shell around `participant.ts`. It joins, waits for work, trains, contributes, and goes on until it is stopped. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AggregationError,
  allFinite,
  deltaOf,
  encodeClearUpdate,
  layoutOf,
  newUpdateId,
  parseDigest,
} from '@carapace/aggregation';
import type { Assignment, Digest, Layout, RoundId } from '@carapace/aggregation';
import { systemRandom } from '@carapace/crypto';
import type { PublicKey, RandomSource } from '@carapace/crypto';
import { checkReceipt, openAssignment, timeAllowedMs } from './assignment.ts';
import type { Calls } from './coordinator-calls.ts';
import { ClientError } from './errors.ts';
import type { ClientEvent } from './events.ts';
import type { Hiding, HidingMeans } from './hiding.ts';
import { callsOf, fatal, isFatal, join, retried } from './joining.ts';
import type { LocalResult, LocalTrainer } from './local-trainer.ts';
import { ownClearNoise, ownExamples } from './own-noise.ts';
import { resume, stepParticipant } from './participant.ts';
import type { ParticipantEffect, ParticipantEvent, PendingUpdate } from './participant.ts';
import { DEFAULT_POLICY, objection } from './policy.ts';
import type { Policy } from './policy.ts';
import { downgrade } from './protected-task.ts';
import { SecureAggregation } from './secure-aggregation.ts';
import { SharedUpdates } from './shared-updates.ts';
import { StateDirectory } from './state/state-directory.ts';
import type { Membership } from './state/state-directory.ts';
import { ProblemError } from './transport/problem-error.ts';

export interface FederatedClientOptions {
  /** Key, membership, journal and cached models: one directory for one client, kept between runs. */
  readonly stateDirectory: string;
  /** Needed on the first run; later the membership in the state directory is used. */
  readonly joinLink?: string;
  readonly train: LocalTrainer;
  /** Key of the enrolment authority that signs rosters; pinned for good by the first run that names it. */
  readonly authority?: PublicKey;
  /** Identity of the second aggregator with which updates are shared; pinned for good by the first run that names it. */
  readonly aggregator?: PublicKey;
  /** For operators' lists. */
  readonly name?: string;
  readonly policy?: Policy;
  readonly onEvent?: (event: ClientEvent) => void;
  /** Long-poll length; shorter only where a proxy cuts idle connections. */
  readonly waitSeconds?: number;
  /** Gives up when the coordinator does not answer for this long; null (the default) never does. */
  readonly unreachableMs?: number | null;
  readonly random?: RandomSource;
}

/** What is said beside an update with noise. */
const SILENT = { examples: 1, metrics: {} } as const;

/** Should the same round be offered again after a decline that was not taken, it is not asked for without pause. */
const REFUSED_DECLINE_MS = 1_000;

export class FederatedClient {
  readonly #options: Options & Pick<FederatedClientOptions, Optional>;

  constructor(options: FederatedClientOptions) {
    const defaults = {
      name: 'client',
      policy: DEFAULT_POLICY,
      onEvent: () => undefined,
      waitSeconds: 25,
      unreachableMs: null,
      random: systemRandom,
    };
    this.#options = { ...defaults, ...options };
  }

  /**
   * Runs until the signal fires, then resolves.
   * @throws ClientError `CLIENT_REVOKED`, `ENROLMENT_REFUSED`, `COORDINATOR_UNTRUSTED`, `STATE_LOCKED`, … : what no retry mends
   */
  async run(signal: AbortSignal = new AbortController().signal): Promise<void> {
    const state = await StateDirectory.open(this.#options.stateDirectory, this.#options.random);
    try {
      const session = new Session(this.#options, state, await join(this.#options, state, signal), signal);
      await session.run();
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      state.close();
      this.#options.onEvent({ kind: 'stopped' });
    }
  }
}

type Optional = 'joinLink' | 'authority' | 'aggregator';
type Options = Required<Omit<FederatedClientOptions, Optional>>;

/** One run of one member. */
class Session {
  readonly #options: Options;
  readonly #state: StateDirectory;
  readonly #membership: Membership;
  readonly #signal: AbortSignal;
  readonly #calls: Calls;
  readonly #means: HidingMeans;
  readonly #secure: SecureAggregation;
  readonly #shared: SharedUpdates;

  constructor(options: Options, state: StateDirectory, membership: Membership, signal: AbortSignal) {
    const { policy, waitSeconds, random, onEvent } = options;
    const calls = callsOf(options, state, membership.coordinator, signal);
    this.#options = options;
    this.#state = state;
    this.#membership = membership;
    this.#signal = signal;
    this.#calls = calls;
    const means: HidingMeans = {
      state,
      membership,
      calls,
      call: (attempt) => this.#call(attempt),
      floor: policy.secagg,
      limit: policy.privacy,
      waitSeconds,
      random,
      onEvent,
    };
    this.#means = means;
    this.#secure = new SecureAggregation(means);
    this.#shared = new SharedUpdates(means);
  }

  async run(): Promise<void> {
    const journalled = (await this.#state.journalled())?.update ?? (await this.#journalUnsent());
    let { state, effects } = resume(journalled, await this.#secure.unfinished());
    while (!this.#signal.aborted) {
      let event: ParticipantEvent = { kind: 'nothing' };
      for (const effect of effects) event = await this.#perform(effect);
      ({ state, effects } = stepParticipant(state, event));
    }
  }

  #perform(effect: ParticipantEffect): Promise<ParticipantEvent> {
    switch (effect.kind) {
      case 'check-in':
        return this.#checkIn();
      case 'train':
        return this.#train(effect.assignment);
      case 'decline':
        return this.#decline(effect);
      case 'upload':
        return this.#upload(effect.update);
      case 'record-admitted':
        return this.#recordAdmitted(effect);
      case 'record-refused':
        return this.#recordRefused(effect);
      case 'unmask':
        return this.#unmask(effect.round);
    }
  }

  async #checkIn(): Promise<ParticipantEvent> {
    this.#options.onEvent({ kind: 'waiting' });
    const answer = await this.#call(() => this.#calls.checkIn(this.#options.waitSeconds));
    if ('idleMs' in answer) {
      await sleep(answer.idleMs, undefined, { signal: this.#signal });
      return { kind: 'nothing' };
    }
    const assignment = openAssignment(this.#membership, answer);
    this.#options.onEvent({
      kind: 'assigned',
      round: assignment.round,
      model: assignment.model.name,
      version: assignment.model.version,
    });
    return { kind: 'assigned', assignment };
  }

  async #train(assignment: Assignment): Promise<ParticipantEvent> {
    const refusal = await this.#objection(assignment);
    if (refusal !== null) return { kind: 'unable', reason: refusal };
    const deadline = AbortSignal.timeout(timeAllowedMs(assignment));
    const signal = AbortSignal.any([this.#signal, deadline]);
    try {
      return { kind: 'trained', update: await this.#makeUpdate(assignment, signal) };
    } catch (error) {
      if (this.#signal.aborted || isFatal(error)) throw fatal(error);
      if (deadline.aborted) return { kind: 'unable', reason: 'training did not end before the deadline of the round' };
      return { kind: 'unable', reason: error instanceof Error ? error.message : String(error) };
    }
  }

  async #objection(assignment: Assignment): Promise<string | null> {
    const { task, protection } = assignment;
    const refused = objection(this.#options.policy, assignment, this.#membership);
    return refused ?? downgrade(task, await this.#state.protectionOf(task), protection.kind);
  }

  async #makeUpdate(assignment: Assignment, signal: AbortSignal): Promise<PendingUpdate> {
    const layout = layoutOf(assignment.model.tensors);
    const base = new Float32Array((await this.#blob(assignment.model.weights)).buffer);
    if (base.length !== layout.size)
      throw new ClientError('ASSIGNMENT_INVALID', `the weights have ${base.length} numbers, the layout ${layout.size}`);
    const topology = new TextDecoder().decode(await this.#blob(assignment.model.topology));
    const note = (message: string): void => this.#options.onEvent({ kind: 'note', message });
    const hiding = await this.#agree(assignment, layout, signal);
    if (hiding !== null && hiding.ready !== null) return this.#journal(assignment, hiding.ready, hiding.masked);
    const clear = hiding === null ? await ownClearNoise(this.#means, assignment, layout) : null;
    const own = ownExamples({ ...this.#means, limit: this.#options.policy.examples }, assignment);
    const work = { assignment, layout, weights: base, topology, signal, note, charge: own.charge };
    const started = performance.now();
    const result = await this.#options.train(work);
    signal.throwIfAborted();
    own.requireCharged();
    const examples = result.examples;
    // What a trainer measured has no noise.
    const metrics = assignment.training.privacy ? {} : result.metrics;
    this.#options.onEvent({
      kind: 'trained',
      round: assignment.round,
      examples,
      seconds: (performance.now() - started) / 1000,
      metrics,
    });
    const delta = checkedDelta(result, () => deltaOf(layout, base, result.weights));
    if (hiding !== null) return this.#journal(assignment, await hiding.hide(delta, examples), hiding.masked);
    const { round, model } = assignment;
    const about = { round, base: model.weights, layout: layout.digest };
    // Noise covers the update alone: with it neither the number of examples nor a metric leaves the device.
    const said = clear === null ? { examples, metrics, delta } : { ...SILENT, delta: await clear.contribution(delta) };
    return this.#journal(assignment, encodeClearUpdate({ ...about, ...said }), false);
  }

  /** Masked before a crash, and not journalled as an update yet: the same bytes, and nothing is trained twice. */
  async #journalUnsent(): Promise<PendingUpdate | null> {
    const unsent = await this.#secure.unsent();
    return unsent === null ? null : this.#journal(unsent, unsent.bytes, true);
  }

  async #journal({ round }: { readonly round: RoundId }, bytes: Uint8Array, masked: boolean): Promise<PendingUpdate> {
    const digest = parseDigest(createHash('sha256').update(bytes).digest('hex'));
    const update = { id: newUpdateId(this.#options.random), round, digest, bytes: bytes.length, masked };
    await this.#state.journal(update, bytes);
    return update;
  }

  /** Null in the clear. */
  async #agree(assignment: Assignment, layout: Layout, signal: AbortSignal): Promise<Hiding | null> {
    const { kind } = assignment.protection;
    if (kind === 'clear') return null;
    await this.#state.noteProtected(assignment.task, kind);
    return (kind === 'secagg' ? this.#secure : this.#shared).agree(assignment, layout, signal);
  }

  async #unmask(round: RoundId): Promise<ParticipantEvent> {
    await this.#secure.unmask(round, this.#signal);
    return { kind: 'unmasked' };
  }

  async #upload(update: PendingUpdate): Promise<ParticipantEvent> {
    const journalled = await this.#state.journalled();
    if (journalled?.update.id !== update.id)
      throw new ClientError('STATE_CORRUPT', `the update ${update.id} is not in the journal any more`);
    this.#options.onEvent({ kind: 'uploading', round: update.round, bytes: update.bytes });
    try {
      const receipt = await this.#call(() => this.#calls.upload(update, journalled.bytes));
      checkReceipt(this.#membership, update, receipt);
      return { kind: 'admitted', receipt };
    } catch (error) {
      if (error instanceof ProblemError) return { kind: 'refused', code: refusalOf(error) };
      throw error;
    }
  }

  async #decline({ round, reason }: Extract<ParticipantEffect, { kind: 'decline' }>): Promise<ParticipantEvent> {
    this.#options.onEvent({ kind: 'declined', round, reason });
    // Its secrets serve nothing any more.
    await this.#state.dropProtocol();
    try {
      await this.#call(() => this.#calls.decline(round, reason));
    } catch (error) {
      // The round is over, or expects nothing of this client: there is nothing left to decline.
      if (!(error instanceof ProblemError)) throw error;
      await sleep(REFUSED_DECLINE_MS, undefined, { signal: this.#signal });
    }
    return { kind: 'nothing' };
  }

  async #recordAdmitted({
    update,
    receipt,
  }: Extract<ParticipantEffect, { kind: 'record-admitted' }>): Promise<ParticipantEvent> {
    if (update.masked) await this.#secure.noteAdmitted(update.round);
    await this.#state.recordAdmitted(update, receipt);
    this.#options.onEvent({ kind: 'admitted', round: update.round, bytes: update.bytes });
    return { kind: 'nothing' };
  }

  async #recordRefused({
    update,
    code,
  }: Extract<ParticipantEffect, { kind: 'record-refused' }>): Promise<ParticipantEvent> {
    await this.#state.recordRefused(update, code);
    if (update.masked) await this.#state.dropProtocol();
    this.#options.onEvent({ kind: 'refused', round: update.round, code });
    return { kind: 'nothing' };
  }

  async #blob(digest: Digest): Promise<Uint8Array<ArrayBuffer>> {
    const cached = await this.#state.cachedBlob(digest);
    if (cached !== null) return cached;
    const bytes = await this.#call(() => this.#calls.download(digest));
    await this.#state.cacheBlob(digest, bytes);
    return bytes;
  }

  /** With retries; what no retry mends ends the session. */
  async #call<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await retried(this.#options, this.#signal, attempt);
    } catch (error) {
      throw fatal(error);
    }
  }
}

function checkedDelta(result: LocalResult, delta: () => Float32Array): Float32Array {
  if (!Number.isInteger(result.examples) || result.examples < 1)
    throw new ClientError('DATA_INVALID', `training used ${result.examples} examples`);
  try {
    const computed = delta();
    if (allFinite(computed) && Object.values(result.metrics).every(Number.isFinite)) return computed;
  } catch (cause) {
    if (cause instanceof AggregationError) throw new ClientError('DATA_INVALID', cause.message, { cause });
    throw cause;
  }
  throw new ClientError(
    'TRAINING_DIVERGED',
    'the weights or metrics are not finite after training: nothing is sent. Lower the learning rate',
  );
}

function refusalOf(error: ProblemError): string {
  const refusal = error.members['refusal'];
  return typeof refusal === 'string' ? refusal : error.code;
}
