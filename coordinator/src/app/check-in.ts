/** Check-in: a client says that it is there, and waits for work. */
import { PROTOCOL_VERSION, signDocument } from '@carapace/aggregation';
import type { Assignment, ClientId, ModelName, RoundId, SignedDocument } from '@carapace/aggregation';
import { DOMAINS } from '@carapace/crypto';
import type { Instant, RoundState } from '../domain/round.ts';
import { CoordinatorError } from '../errors.ts';
import type { ClientRecord, Presence, RoundRecord, VersionRecord } from '../ports.ts';
import type { CheckIn } from './api.ts';
import type { Context } from './context.ts';
import { taskIn } from './round-task.ts';
import type { Rounds } from './rounds.ts';
import type { Waiters } from './waiters.ts';

/** Between two polls a client is still a candidate for this long. */
const SLACK_MS = 5_000;
/** A client that was told there is nothing comes back after this long. */
const RETRY_MS = 250;

export class CheckIns {
  readonly #ctx: Context;
  readonly #rounds: Rounds;
  readonly #waiters: Waiters;
  readonly #recordPresence: (presence: Presence) => Promise<void>;
  readonly #versions = new Map<string, VersionRecord>();

  constructor(ctx: Context, rounds: Rounds, waiters: Waiters, recordPresence: (presence: Presence) => Promise<void>) {
    this.#ctx = ctx;
    this.#rounds = rounds;
    this.#waiters = waiters;
    this.#recordPresence = recordPresence;
  }

  async checkIn(client: ClientRecord, waitMs: number, signal: AbortSignal): Promise<CheckIn> {
    const already = await this.#assigned(client);
    if (already !== null) return already;
    const now = this.#ctx.clock.now();
    // Listening starts before the records say that the client waits: it may be selected in that very moment.
    const waiting = this.#waiters.wait(client.id, waitMs, signal);
    await this.#recordPresence({ client: client.id, seenAt: now, waitingUntil: now + waitMs + SLACK_MS });
    this.#rounds.nudgeOpen();
    const outcome = await waiting;
    // A poll that was cut off is often noticed after the next one has begun: that one says truly that the client waits.
    if (outcome === 'gone' && !this.#waiters.has(client.id))
      await this.#recordPresence({ client: client.id, seenAt: this.#ctx.clock.now(), waitingUntil: 0 });
    if (outcome === 'closing') return { kind: 'idle', retryAfterMs: 1_000, reason: 'shutting-down' };
    const work = await this.#assigned(client);
    if (work !== null) return work;
    if (outcome === 'woken') await this.#requireActive(client);
    return { kind: 'idle', retryAfterMs: RETRY_MS, reason: 'nothing-yet' };
  }

  /** Ends the client's open polls: it has work, or may not wait any more. */
  wake(client: ClientId): void {
    this.#waiters.wake([client]);
  }

  /** Rings for clients that another process selected or revoked. */
  async wakeAssigned(): Promise<void> {
    const clients = this.#waiters.clients;
    if (clients.length === 0) return;
    const { store } = this.#ctx;
    const [assigned, revoked] = await Promise.all([store.listAssignments(clients), store.listRevoked(clients)]);
    this.#waiters.wake([...assigned.map(({ client }) => client), ...revoked]);
  }

  async assignmentOf(client: ClientRecord, id: RoundId): Promise<SignedDocument> {
    const round = await this.#ctx.store.findAssignment(client.id);
    if (round?.id === id) return this.#sign(client.id, round);
    const asked = await this.#ctx.store.findRound(id);
    if (asked === null) throw new CoordinatorError('ROUND_NOT_FOUND', `there is no round ${id}`);
    throw new CoordinatorError('ROUND_OVER', `${id} is ${asked.state.kind}, or takes no part of this client any more`);
  }

  /** Whoever is woken without work was revoked, or lost the work again in between. */
  async #requireActive({ id }: ClientRecord): Promise<void> {
    const client = await this.#ctx.store.findClient(id);
    if (client?.status !== 'active') throw new CoordinatorError('CLIENT_UNKNOWN', 'the client was revoked');
  }

  async #assigned(client: ClientRecord): Promise<CheckIn | null> {
    const round = await this.#ctx.store.findAssignment(client.id);
    return round === null ? null : { kind: 'assigned', assignment: await this.#sign(client.id, round) };
  }

  async #sign(client: ClientId, round: RoundRecord): Promise<SignedDocument> {
    const task = taskIn(round, await this.#ctx.store.findTask(round.task));
    const deadline = reportBy(round.state);
    if (task === null || deadline === null)
      throw new CoordinatorError('ROUND_OVER', `${round.id} is ${round.state.kind}`);
    const base = await this.#version(task.model.name, round.baseVersion);
    const assignment: Assignment = {
      protocol: PROTOCOL_VERSION,
      task: round.task,
      round: round.id,
      client,
      model: {
        name: base.model,
        version: base.version,
        weights: base.weights,
        topology: base.topology,
        tensors: base.tensors,
      },
      training: task.training,
      protection: task.protection,
      deadline,
      issuedAt: this.#ctx.clock.now(),
    };
    return signDocument(this.#ctx.key, DOMAINS.assignment, assignment);
  }

  /** Versions never change, so one reading serves a whole cohort; only the newest few are kept. */
  async #version(model: ModelName, number: number): Promise<VersionRecord> {
    const key = `${model}/${number}`;
    const kept = this.#versions.get(key);
    if (kept !== undefined) return kept;
    const found = await this.#ctx.store.findVersion(model, number);
    if (found === null) throw new CoordinatorError('VERSION_NOT_FOUND', `${model} has no version ${number}`);
    this.#versions.set(key, found);
    if (this.#versions.size > 32) this.#versions.delete([...this.#versions.keys()][0] ?? '');
    return found;
  }
}

/** When the update is due; while the cohort agrees on its masks, the latest that this can be. Null: none is expected. */
function reportBy(state: RoundState): Instant | null {
  if (state.kind === 'collecting') return state.deadline;
  if (state.kind !== 'agreeing') return null;
  const { plan, startedAt } = state;
  return startedAt + 2 * (plan.protocol?.stepMs ?? 0) + plan.reportMs;
}
