/** Whether some task's cohorts are secret, so that counts of rounds and requests are not for everybody. */
import { CoordinatorError } from '../errors.ts';
import type { Store } from '../ports.ts';

/**
 * Asked of the records each time. While they are away the last answer holds, so that metrics stay readable through an outage:
 * it is taken at the start and before each round opened here, hence before anything is counted of a round this coordinator opened.
 */
export class CohortSecrecy {
  readonly #store: Pick<Store, 'listTasks'>;
  #last: boolean | null = null;

  constructor(store: Pick<Store, 'listTasks'>) {
    this.#store = store;
  }

  /** @throws CoordinatorError `STORE_UNAVAILABLE` when the records have never answered */
  async hides(): Promise<boolean> {
    try {
      this.#last = (await this.#store.listTasks()).some(({ task }) => task.cohort.selection?.kind === 'poisson');
    } catch (thrown) {
      const away = thrown instanceof CoordinatorError && thrown.code === 'STORE_UNAVAILABLE';
      if (!away || this.#last === null) throw thrown;
    }
    return this.#last;
  }
}
