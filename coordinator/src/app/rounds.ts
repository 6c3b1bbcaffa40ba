/** The rounds of all tasks, as one thing to nudge: coalesces nudges, tells what happened, and carries a task from round to round. */
import type { ClientId, RoundId, TaskId } from '@carapace/aggregation';
import { isTerminal } from '../domain/round.ts';
import { Coalesced } from './coalesced.ts';
import type { Context } from './context.ts';
import { continueTask, openNextRound } from './round-opening.ts';
import { happeningOf } from './round-happening.ts';
import { advanceRound } from './round-stepping.ts';
import type { Advance, Means, Occurrence } from './round-stepping.ts';
import { aggregateRound, evaluateRound } from './round-work.ts';
import type { Budgets } from './privacy/budgets.ts';
import type { Protocols } from './protocols.ts';

export interface RoundsListener {
  /** These clients have work now. */
  selected(clients: readonly ClientId[]): void;
  /** Some round went on: whoever waits for its next step should look. */
  moved(): void;
}

export class Rounds {
  readonly #ctx: Context;
  readonly #protocols: Protocols;
  readonly #budgets: Budgets;
  readonly #listener: RoundsListener;
  readonly #nudges: Coalesced<RoundId>;
  /** Rounds that look for a cohort: those that a check-in concerns. Another process's rounds are found by the reconciler. */
  readonly #open = new Set<RoundId>();

  constructor(ctx: Context, protocols: Protocols, budgets: Budgets, listener: RoundsListener) {
    this.#ctx = ctx;
    this.#protocols = protocols;
    this.#budgets = budgets;
    this.#listener = listener;
    this.#nudges = new Coalesced(async (id) => {
      try {
        await this.step(id);
      } catch (error) {
        // A nudge is a hint: the reconciler looks at the round again.
        ctx.emit({ kind: 'job-failed', at: ctx.clock.now(), job: `step ${id}`, error });
      }
    });
  }

  /** Looks at the round soon; many calls become one look. */
  nudge(id: RoundId): void {
    this.#nudges.ask(id);
  }

  /** A client waits for work: whichever rounds are open may want it. */
  nudgeOpen(): void {
    for (const id of this.#open) this.#nudges.ask(id);
  }

  noteOpen(id: RoundId): void {
    this.#open.add(id);
  }

  async open(task: TaskId): Promise<void> {
    const id = await openNextRound(this.#ctx, this.#budgets, task);
    if (id !== null) this.#opened(id);
  }

  /** @returns whether a round was opened, or the task completed */
  async continue(task: TaskId): Promise<boolean> {
    const continued = await continueTask(this.#ctx, this.#budgets, task);
    if (typeof continued === 'string') this.#opened(continued);
    return continued !== false;
  }

  /** Moves the round on by what the records show, or by an occurrence. @returns whether it moved */
  async step(id: RoundId, occurrence?: Occurrence): Promise<boolean> {
    const advance = await advanceRound(this.#means(), id, occurrence);
    if (advance !== null) await this.#follow(advance, occurrence);
    return advance !== null;
  }

  async stop(id: RoundId): Promise<void> {
    await this.step(id, { event: async (now) => ({ kind: 'stop', now }) });
  }

  async aggregate(id: RoundId): Promise<void> {
    const occurrence = await aggregateRound(this.#ctx, this.#protocols, id);
    if (occurrence !== null) await this.step(id, occurrence);
  }

  async evaluate(id: RoundId): Promise<void> {
    const occurrence = await evaluateRound(this.#ctx, id);
    if (occurrence !== null) await this.step(id, occurrence);
  }

  /** Resolves when no nudge is being worked on. */
  async idle(): Promise<void> {
    await this.#nudges.idle();
  }

  #means(): Means {
    return { ctx: this.#ctx, protocols: this.#protocols, budgets: this.#budgets };
  }

  #opened(id: RoundId): void {
    this.#open.add(id);
    this.nudge(id);
  }

  async #follow(advance: Advance, occurrence?: Occurrence): Promise<void> {
    const { round, step } = advance;
    const happening = happeningOf(advance, occurrence?.metrics ?? {});
    if (happening !== null) this.#ctx.emit(happening);
    if (step.state.kind !== 'open') this.#open.delete(round.id);
    for (const effect of step.effects) {
      if (effect.kind === 'select') this.#listener.selected(effect.cohort.map(({ client }) => client));
    }
    this.#listener.moved();
    if (!isTerminal(step.state)) {
      // Everybody may have spoken already: the protocol's next step need not wait for another message.
      if (step.state.kind === 'agreeing' || step.state.kind === 'unmasking') this.nudge(round.id);
      return;
    }
    await this.#discardUpdates(round.id);
    await this.continue(round.task);
  }

  /** Updates, and what a cohort said to each other, have served when their round has ended; the receipts stay. */
  async #discardUpdates(id: RoundId): Promise<void> {
    const digests = [...(await this.#ctx.store.listUpdateDigests(id)), ...(await this.#protocols.blobsOf(id))];
    await Promise.all(digests.map((digest) => this.#ctx.updates.delete(digest)));
    await this.#ctx.store.deleteSession(id);
    this.#protocols.forget(id);
  }
}
