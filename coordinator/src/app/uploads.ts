/**
 * Uploads: chunks of an update become durable, the whole is judged, admission is one commit, the answer a signed receipt.
 * Nothing is acknowledged that a kill -9 in the next instant could lose.
 */
import {
  clearUpdateLimit,
  judgeClearUpdate,
  layoutOf,
  parseRoundId,
  privacyOf,
  signDocument,
} from '@carapace/aggregation';
import type {
  ClearUpdates,
  Digest,
  Metrics,
  Receipt,
  RoundId,
  SecaggRefusal,
  SignedDocument,
  UpdateId,
  UpdateRefusal,
} from '@carapace/aggregation';
import { DOMAINS, sha256Hex } from '@carapace/crypto';
import { isTerminal } from '../domain/round.ts';
import { CoordinatorError } from '../errors.ts';
import type {
  Admission,
  ClientRecord,
  PendingUpload,
  RoundRecord,
  UpdateRecord,
  UpdateSubmission,
  VersionRecord,
} from '../ports.ts';
import type { UpdateChunk, UploadAnswer } from './api.ts';
import { BodyTurns } from './body-turns.ts';
import type { Context } from './context.ts';
import { KeyedLock } from './keyed-lock.ts';
import { receive } from './received-chunk.ts';
import { taskIn } from './round-task.ts';
import type { Rounds } from './rounds.ts';
import type { Protocols } from './protocols.ts';

/** What an update tells beside its bytes: of a protected one, nothing. */
interface Admitted {
  readonly examples: number;
  readonly metrics: Metrics;
  readonly deposit: Uint8Array | null;
}

type Verdict =
  | { readonly kind: 'admitted'; readonly update: Admitted }
  | { readonly kind: 'refused'; readonly code: UpdateRefusal; readonly why: string };

interface Expectation {
  readonly limit: number;
  readonly judge: (bytes: Uint8Array) => Verdict;
}

/** What is wrong with a masked or shared input, in the words for updates. */
const REFUSED_AS: Partial<Record<SecaggRefusal, UpdateRefusal>> = {
  SECAGG_CONTEXT: 'UPDATE_STALE',
  SECAGG_LENGTH: 'UPDATE_SHAPE',
  SECAGG_MEMBER: 'NOT_IN_COHORT',
  SECAGG_ORDER: 'ROUND_NOT_COLLECTING',
};

export class Uploads {
  readonly #ctx: Context;
  readonly #rounds: Rounds;
  readonly #protocols: Protocols;
  readonly #admit: (update: UpdateSubmission) => Promise<Admission>;
  readonly #turns: BodyTurns;
  readonly #locks = new KeyedLock();
  /** What was durable when the chunk that is coming in now began, by pending upload: its own bytes count once it is whole. */
  readonly #coming = new Map<string, number>();

  constructor(
    ctx: Context,
    rounds: Rounds,
    protocols: Protocols,
    admit: (update: UpdateSubmission) => Promise<Admission>,
  ) {
    this.#ctx = ctx;
    this.#rounds = rounds;
    this.#protocols = protocols;
    this.#admit = admit;
    this.#turns = new BodyTurns(ctx.clock);
  }

  async upload(client: ClientRecord, sent: UpdateChunk): Promise<UploadAnswer> {
    return this.#turns.run(pendingKey(client, sent.update), sent.body, (body) => this.#take(client, { ...sent, body }));
  }

  async status(client: ClientRecord, round: RoundId, update: UpdateId): Promise<UploadAnswer> {
    const known = await this.#ctx.store.findUpdate(update);
    if (known?.client === client.id && known.round === round)
      return { kind: 'admitted', receipt: this.#receipt(known) };
    const key = pendingKey(client, update);
    return { kind: 'partial', received: this.#coming.get(key) ?? (await this.#ctx.updates.upload(key)).received };
  }

  async #take(client: ClientRecord, chunk: UpdateChunk): Promise<UploadAnswer> {
    const known = await this.#ctx.store.findUpdate(chunk.update);
    if (known !== null) return this.#answerKnown(client, chunk, known);
    const expected = await this.#expect(client, chunk);
    const pending = await this.#ctx.updates.upload(pendingKey(client, chunk.update));
    const received = await receive(chunk, pending, () => this.#append(client, chunk, pending));
    if (received < chunk.total) return { kind: 'partial', received };
    return this.#finish(client, chunk, expected, pending);
  }

  async #append(client: ClientRecord, chunk: UpdateChunk, pending: PendingUpload): Promise<number> {
    const key = pendingKey(client, chunk.update);
    this.#coming.set(key, pending.received);
    try {
      return await pending.append(chunk.body, chunk.total);
    } finally {
      this.#coming.delete(key);
    }
  }

  async #finish(
    client: ClientRecord,
    chunk: UpdateChunk,
    expected: Expectation,
    pending: PendingUpload,
  ): Promise<UploadAnswer> {
    const bytes = await pending.read();
    const verdict = sha256Hex(bytes) === chunk.digest ? expected.judge(bytes) : null;
    if (verdict?.kind !== 'admitted') {
      throw await this.#refuse(
        client,
        chunk,
        verdict?.code ?? 'UPDATE_DIGEST',
        verdict?.why ?? 'the bytes differ from the announced digest',
      );
    }
    const submission = submissionOf(client, chunk, verdict.update, this.#ctx.clock.now());
    // One at a time for the same bytes: a refused copy must not take the accepted one's blob away.
    const admission = await this.#locks.run(chunk.digest, () => this.#admitDurably(submission, pending));
    if (admission === null) throw await this.#refuse(client, chunk, 'UPDATE_DIGEST', 'the bytes changed on disk');
    if (admission.kind === 'refused') throw await this.#refuse(client, chunk, admission.code, 'decided at admission');
    if (!admission.again) this.#tell(admission.record);
    return { kind: 'admitted', receipt: this.#receipt(admission.record) };
  }

  /** Named and durable, then admitted: a receipt never speaks of bytes that are not on disk. Null when they changed there. */
  async #admitDurably(submission: UpdateSubmission, pending: PendingUpload): Promise<Admission | null> {
    const { round, digest } = submission;
    if (!(await pending.commit(digest))) return null;
    const admission = await this.#admit(submission);
    if (admission.kind === 'refused' && !(await this.#isAwaited(round, digest))) await this.#ctx.updates.delete(digest);
    return admission;
  }

  /** Whether the aggregation of a round that runs will read this blob: two clients may have sent the same bytes. */
  async #isAwaited(id: RoundId, digest: Digest): Promise<boolean> {
    const round = await this.#ctx.store.findRound(id);
    if (round === null || isTerminal(round.state)) return false;
    return (await this.#ctx.store.listUpdateDigests(id)).includes(digest);
  }

  #tell({ round, client, bytes, examples, metrics }: UpdateRecord): void {
    const task = parseRoundId(round).task;
    this.#ctx.emit({
      kind: 'update-admitted',
      at: this.#ctx.clock.now(),
      task,
      round,
      client,
      bytes,
      examples,
      metrics,
    });
    this.#rounds.nudge(round);
  }

  async #answerKnown(client: ClientRecord, chunk: UpdateChunk, known: UpdateRecord): Promise<UploadAnswer> {
    const same = known.client === client.id && known.round === chunk.round && known.digest === chunk.digest;
    if (same) return { kind: 'admitted', receipt: this.#receipt(known) };
    throw await this.#refuse(
      client,
      chunk,
      'UPDATE_DUPLICATE',
      'the update id names other bytes, another round or another client',
    );
  }

  /** What an update of this client to this round must be, or the refusal that needs no byte of it. */
  async #expect(client: ClientRecord, chunk: UpdateChunk): Promise<Expectation> {
    const { store } = this.#ctx;
    const round = await store.findRound(chunk.round);
    if (round === null) throw new CoordinatorError('ROUND_NOT_FOUND', `there is no round ${chunk.round}`);
    const assigned = await store.findAssignment(client.id);
    if (assigned?.id !== round.id || round.state.kind !== 'collecting')
      throw await this.#refuse(
        client,
        chunk,
        await this.#whyNotAssigned(client, round),
        `the round is ${round.state.kind}`,
      );
    const task = taskIn(round, await store.findTask(round.task));
    const base = task && (await store.findVersion(task.model.name, round.baseVersion));
    if (!base) throw new Error(`${round.id} has no task or base version in the records`);
    const expected =
      task.protection.kind === 'clear'
        ? expectClear(round, base, task.training.maxExamples, task.protection)
        : await this.#expectProtected(client, round);
    if (chunk.total > expected.limit) {
      const why = `${chunk.total} bytes, at most ${expected.limit} allowed`;
      throw await this.#refuse(client, chunk, 'UPDATE_TOO_LARGE', why);
    }
    return expected;
  }

  async #expectProtected(client: ClientRecord, round: RoundRecord): Promise<Expectation> {
    const { bytes: limit, judge } = await this.#protocols.judgeInput(round, client);
    return {
      limit,
      judge: (bytes) => {
        const judged = judge(bytes);
        if (judged.kind === 'admitted')
          return { kind: 'admitted', update: { examples: 0, metrics: {}, deposit: judged.deposit } };
        return { kind: 'refused', code: REFUSED_AS[judged.code] ?? 'UPDATE_MALFORMED', why: judged.code };
      },
    };
  }

  async #whyNotAssigned(client: ClientRecord, round: RoundRecord): Promise<UpdateRefusal> {
    const participants = await this.#ctx.store.listParticipants(round.id);
    const own = participants.find((participant) => participant.client === client.id);
    if (own === undefined) return 'NOT_IN_COHORT';
    if (own.status === 'reported') return 'UPDATE_DUPLICATE';
    return own.status === 'revoked' ? 'CLIENT_REVOKED' : 'ROUND_NOT_COLLECTING';
  }

  /** A refusal is final: what came of the update before it is dropped. */
  async #refuse(client: ClientRecord, chunk: UpdateChunk, code: UpdateRefusal, why: string): Promise<CoordinatorError> {
    const now = this.#ctx.clock.now();
    await (await this.#ctx.updates.upload(pendingKey(client, chunk.update))).discard();
    await this.#ctx.store.recordRefusal(chunk.round, client.id, chunk.update, code, now);
    this.#ctx.emit({
      kind: 'update-refused',
      at: now,
      task: parseRoundId(chunk.round).task,
      round: chunk.round,
      client: client.id,
      code,
    });
    const over = code === 'ROUND_NOT_COLLECTING';
    return new CoordinatorError(over ? 'ROUND_OVER' : 'UPDATE_REFUSED', `${code}: ${why}`, {
      members: { refusal: code },
    });
  }

  /** Made from the record alone, and Ed25519 has no randomness: the same receipt for ever. */
  #receipt(record: UpdateRecord): SignedDocument {
    const { update, round, client, digest, bytes, at } = record;
    const receipt: Receipt = { update, round, client, digest, bytes, admittedAt: at };
    return signDocument(this.#ctx.key, DOMAINS.receipt, receipt);
  }
}

function expectClear(
  round: RoundRecord,
  base: VersionRecord,
  maxExamples: number,
  protection: ClearUpdates,
): Expectation {
  const layout = layoutOf(base.tensors);
  const expected = { round: round.id, base: base.weights, layout, maxExamples, privacy: privacyOf(protection) };
  return {
    limit: clearUpdateLimit(layout.size),
    judge: (bytes) => {
      const verdict = judgeClearUpdate(bytes, expected);
      if (verdict.kind === 'refused') return verdict;
      const { examples, metrics } = verdict.update;
      return { kind: 'admitted', update: { examples, metrics, deposit: null } };
    },
  };
}

/** Of the client too: one client's update id says nothing about another's upload. */
function pendingKey(client: ClientRecord, update: UpdateId): string {
  return `${client.id}_${update}`.slice(0, 64);
}

function submissionOf(
  client: ClientRecord,
  chunk: UpdateChunk,
  { examples, metrics, deposit }: Admitted,
  at: number,
): UpdateSubmission {
  return {
    update: chunk.update,
    round: chunk.round,
    client: client.id,
    digest: chunk.digest,
    bytes: chunk.total,
    examples,
    metrics,
    deposit,
    at,
  };
}
