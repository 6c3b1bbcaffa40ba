/**
 * Joins calls that arrive together into one batch: one commit (one fsync) serves them all. While a batch is in flight the next
 * one gathers, so a lone call waits for nothing and a crowd pays once.
 */

interface Call<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

const BATCH_LIMIT = 256;

/** @param run answers every item of a batch in order; its error reaches every caller of the batch */
export function groupCommit<Item, Result>(
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
): (item: Item) => Promise<Result> {
  let waiting: Call<Item, Result>[] = [];
  let running = false;

  const drain = async (): Promise<void> => {
    running = true;
    // The burst of this turn of the event loop is gathered first.
    await new Promise(setImmediate);
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH_LIMIT);
      waiting = waiting.slice(BATCH_LIMIT);
      await settle(batch, run);
    }
    running = false;
  };

  return (item) => {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    waiting.push({ item, resolve, reject });
    if (!running) void drain();
    return promise;
  };
}

async function settle<Item, Result>(
  batch: readonly Call<Item, Result>[],
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
): Promise<void> {
  try {
    const results = await run(batch.map(({ item }) => item));
    if (results.length !== batch.length)
      throw new Error(`a batch of ${batch.length} calls got ${results.length} results`);
    batch.forEach(({ resolve }, index) => resolve(results[index] as Result));
  } catch (error) {
    for (const { reject } of batch) reject(error);
  }
}
