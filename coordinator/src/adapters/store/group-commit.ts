/**
 * Joins calls that arrive together into one batch: one commit (one fsync) serves them all. While a batch is in flight the next
 * one gathers, so a lone call waits for nothing and a crowd pays once.
 */
import { CoordinatorError } from '../../errors.ts';

interface Call<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

const BATCH_LIMIT = 256;

/** @param run answers every item of a batch in order, or throws and has done nothing */
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

/** When a batch fails, its items are tried alone: the one that the database refuses keeps its error to itself. */
async function settle<Item, Result>(
  batch: readonly Call<Item, Result>[],
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
): Promise<void> {
  let results: readonly Result[];
  try {
    results = await run(batch.map(({ item }) => item));
  } catch (error) {
    // A database that does not answer is not asked once per item.
    if (batch.length > 1 && !(error instanceof CoordinatorError)) {
      for (const call of batch) await settle([call], run);
    } else {
      for (const { reject } of batch) reject(error);
    }
    return;
  }
  batch.forEach(({ resolve }, index) => resolve(results[index] as Result));
}
