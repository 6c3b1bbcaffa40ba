/** The main thread's side of the embedded engine: raw PostgreSQL protocol exchanges, one answer each. */
import { Worker } from 'node:worker_threads';
import { CoordinatorError } from '../../../errors.ts';

export type EngineRequest =
  | { readonly kind: 'exchange'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'close'; readonly id: number };

export type EngineReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'output'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'closed'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string };

interface Pending {
  readonly resolve: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly reject: (error: Error) => void;
}

/** First start runs initdb in WebAssembly (about six CPU seconds); recovery after a crash takes one to five. */
const OPEN_DEADLINE_MS = 120_000;
const CLOSE_DEADLINE_MS = 4_000;

export class Engine {
  readonly #worker: Worker;
  readonly #onLost: (cause: Error) => void;
  readonly #pending = new Map<number, Pending>();
  #next = 0;
  #ended: Error | null = null;

  private constructor(worker: Worker, onLost: (cause: Error) => void) {
    this.#worker = worker;
    this.#onLost = onLost;
  }

  /** @param onLost called when the engine fails or ends unasked: nothing can be stored any more, so the process should end too */
  static async open(directory: string, onLost: (cause: Error) => void): Promise<Engine> {
    const worker = new Worker(new URL('./engine-worker.ts', import.meta.url), { workerData: { directory } });
    const engine = new Engine(worker, onLost);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => reject(unavailable(`the embedded database did not open within ${OPEN_DEADLINE_MS / 1000} s`)),
      OPEN_DEADLINE_MS,
    );
    worker.on('message', (message: EngineReply) => {
      if (message.kind === 'ready') resolve();
      else engine.#settle(message);
    });
    const lost = (cause: Error): void => {
      reject(cause);
      engine.lose(cause);
    };
    worker.on('error', (cause) => lost(unavailable('the embedded database failed', cause)));
    worker.on('exit', (code) => lost(unavailable(`the embedded database ended with code ${code}`)));
    try {
      await promise;
      return engine;
    } catch (error) {
      engine.#ended = unavailable('the embedded database did not open');
      await worker.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** One request of the PostgreSQL protocol (up to Query or Sync) and everything it answers. */
  exchange(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const copy = Uint8Array.from(bytes);
    return this.#ask((id) =>
      this.#worker.postMessage({ kind: 'exchange', id, bytes: copy } satisfies EngineRequest, [copy.buffer]),
    );
  }

  async close(): Promise<void> {
    if (this.#ended !== null) return;
    const closed = this.#ask((id) => this.#worker.postMessage({ kind: 'close', id } satisfies EngineRequest));
    const timer = setTimeout(
      () => this.#end(unavailable('the embedded database did not close in time; it recovers at the next start')),
      CLOSE_DEADLINE_MS,
    );
    try {
      await closed;
    } finally {
      clearTimeout(timer);
      this.#ended ??= unavailable('the embedded database is closed');
      await this.#worker.terminate();
    }
  }

  #ask(post: (id: number) => void): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const id = this.#next++;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
    this.#pending.set(id, { resolve, reject });
    post(id);
    return promise;
  }

  #settle(message: Exclude<EngineReply, { kind: 'ready' }>): void {
    if (message.kind === 'failed') {
      // An SQL error is an answer; this is the engine itself.
      this.lose(unavailable(`the embedded database failed: ${message.message}`));
      return;
    }
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    pending?.resolve(message.kind === 'output' ? message.bytes : new Uint8Array(0));
  }

  /** Nothing is asked of it any more: only a new start recovers, from the log. */
  lose(cause: Error): void {
    if (this.#ended === null) this.#onLost(cause);
    this.#end(cause);
    void this.#worker.terminate();
  }

  #end(cause: Error): void {
    this.#ended ??= cause;
    for (const { reject } of this.#pending.values()) reject(cause);
    this.#pending.clear();
  }
}

function unavailable(message: string, cause?: unknown): CoordinatorError {
  return new CoordinatorError('STORE_UNAVAILABLE', message, { cause });
}
