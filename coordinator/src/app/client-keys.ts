/** Who a key is, asked on every request: kept for two seconds, so that a revocation made on another process still bites within five. */
import type { Clock, ClientRecord, Store } from '../ports.ts';

const KEEP_MS = 2_000;
const KEPT_LIMIT = 10_000;

export class ClientKeys {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #kept = new Map<string, { readonly client: ClientRecord; readonly until: number }>();

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** The active client behind a key fingerprint, or null. */
  async find(key: string): Promise<ClientRecord | null> {
    const now = this.#clock.now();
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > now) return kept.client;
    const client = await this.#store.findClientByKey(key);
    this.#kept.delete(key);
    if (client?.status !== 'active') return null;
    if (this.#kept.size >= KEPT_LIMIT) this.#kept.clear();
    this.#kept.set(key, { client, until: now + KEEP_MS });
    return client;
  }

  forget(key: string): void {
    this.#kept.delete(key);
  }
}
