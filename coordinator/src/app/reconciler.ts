/**
 * Makes the queue equal to the records again, every few seconds and at the start. The queue may lose anything at any time
 * (Redis wiped, a crash between commit and nudge): what the records say should be pending is re-created here.
 */
import type { Digest } from '@carapace/aggregation';
import { observation } from '../domain/round.ts';
import type { RoundRecord, TaskRecord } from '../ports.ts';
import type { CheckIns } from './check-in.ts';
import type { Context } from './context.ts';
import type { Rounds } from './rounds.ts';
import type { Protocols } from './protocols.ts';
import { startTask } from './tasks.ts';

/** An upload that nobody touched for a day is of a round that has ended. Looking for such is rare work. */
const UPLOAD_LIFE_MS = 24 * 3_600_000;
/** Between the name of an update's blob and its admission there are moments: an older one that no round awaits was left by a kill. */
const BLOB_LIFE_MS = 3_600_000;
const SWEEP_MS = 10 * 60_000;

/** Where clients wait: what another process did for them is seen here. */
export interface Waiting {
  readonly checkIns: CheckIns;
  readonly calls: readonly { ring(): void }[];
  readonly protocols: Protocols;
}

export class Reconciler {
  readonly #ctx: Context;
  readonly #rounds: Rounds;
  readonly #waiting: Waiting;
  readonly #everyMs: number;
  #forget: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;
  #sweepAt = 0;

  constructor(ctx: Context, rounds: Rounds, waiting: Waiting, everyMs: number) {
    this.#ctx = ctx;
    this.#rounds = rounds;
    this.#waiting = waiting;
    this.#everyMs = everyMs;
  }

  /** The first pass is over when this resolves; further ones follow until {@link stop}. */
  async start(): Promise<void> {
    await this.reconcile();
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#forget();
    await this.#running;
  }

  async reconcile(): Promise<void> {
    const { store } = this.#ctx;
    const [running, tasks] = await Promise.all([store.listRunningRounds(), store.listTasks()]);
    this.#waiting.protocols.rememberOnly(new Set(running.map(({ id }) => id)));
    for (const round of running) await this.#tryRepair(round);
    const scheduled = new Set(await this.#ctx.queue.scheduled());
    const busy = new Set(running.map(({ task }) => task));
    for (const record of tasks) {
      if (record.status === 'active')
        await this.#repairTask(record, busy.has(record.task.name), scheduled.has(record.task.name));
    }
    await this.#waiting.checkIns.wakeAssigned();
    for (const calls of this.#waiting.calls) calls.ring();
    await this.#sweepUploads();
  }

  async #sweepUploads(): Promise<void> {
    const now = this.#ctx.clock.now();
    if (now < this.#sweepAt) return;
    this.#sweepAt = now + SWEEP_MS;
    await this.#ctx.store.deleteEndedSessions();
    for (const blobs of [this.#ctx.updates, this.#ctx.models]) await blobs.sweepUploads(now - UPLOAD_LIFE_MS);
    const awaited = await this.#awaitedBlobs();
    await this.#ctx.updates.sweepBlobs(now - BLOB_LIFE_MS, (digest) => awaited.has(digest));
  }

  /** What the rounds that run may still read. */
  async #awaitedBlobs(): Promise<ReadonlySet<Digest>> {
    const { store } = this.#ctx;
    const awaited = new Set<Digest>(await store.listNoiseStates());
    for (const { id } of await store.listRunningRounds()) {
      for (const digest of await store.listUpdateDigests(id)) awaited.add(digest);
      for (const digest of await this.#waiting.protocols.blobsOf(id)) awaited.add(digest);
    }
    return awaited;
  }

  /** One round that cannot be looked at does not keep the others, or the start, from going on. */
  async #tryRepair(round: RoundRecord): Promise<void> {
    try {
      await this.#repairRound(round);
    } catch (error) {
      this.#ctx.emit({ kind: 'job-failed', at: this.#ctx.clock.now(), job: `reconcile ${round.id}`, error });
    }
  }

  async #repairRound(round: RoundRecord): Promise<void> {
    const { state } = round;
    if (state.kind === 'open') this.#rounds.noteOpen(round.id);
    if (state.kind === 'aggregating')
      await this.#ctx.queue.add({ kind: 'aggregate', round: round.id }, { key: `aggregate-${round.id}` });
    if (state.kind === 'evaluating')
      await this.#ctx.queue.add(
        { kind: 'evaluate', round: round.id },
        { at: state.notBefore ?? state.since, key: `evaluate-${round.id}` },
      );
    if (observation(state) !== null && (await this.#rounds.step(round.id))) this.#repaired('round');
  }

  async #repairTask({ task }: TaskRecord, busy: boolean, scheduled: boolean): Promise<void> {
    if (task.schedule.kind === 'continuous') {
      if (!busy && (await this.#rounds.continue(task.name))) this.#repaired('round');
      return;
    }
    if (scheduled) return;
    await startTask(this.#ctx, this.#rounds, task);
    this.#repaired('schedule');
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#forget = this.#ctx.clock.after(this.#everyMs, () => {
      this.#running = this.#pass();
    });
  }

  async #pass(): Promise<void> {
    try {
      await this.reconcile();
    } catch (error) {
      // The next pass tries again; until then the happening says that this one could not.
      this.#ctx.emit({ kind: 'job-failed', at: this.#ctx.clock.now(), job: 'reconcile', error });
    }
    this.#schedule();
  }

  #repaired(what: 'round' | 'schedule'): void {
    this.#ctx.emit({ kind: 'repaired', at: this.#ctx.clock.now(), what });
  }
}
