/** Runs a task for a key at most once at a time, and once more when it was asked for meanwhile: nudges are never lost, never queued up. */
export class Coalesced<Key> {
  readonly #run: (key: Key) => Promise<void>;
  readonly #running = new Map<Key, { again: boolean; readonly done: Promise<void> }>();

  /** @param run must handle its own errors: a rejection ends the repetition and reaches {@link idle} */
  constructor(run: (key: Key) => Promise<void>) {
    this.#run = run;
  }

  ask(key: Key): void {
    const running = this.#running.get(key);
    if (running !== undefined) {
      running.again = true;
      return;
    }
    const entry = { again: false, done: Promise.resolve() };
    this.#running.set(key, entry);
    Object.assign(entry, { done: this.#repeat(key, entry) });
  }

  /** Resolves once nothing runs. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  async #repeat(key: Key, entry: { again: boolean }): Promise<void> {
    try {
      // The first run starts in a later turn, so that one burst of nudges is one run.
      await Promise.resolve();
      do {
        entry.again = false;
        await this.#run(key);
      } while (entry.again);
    } finally {
      this.#running.delete(key);
    }
  }
}
