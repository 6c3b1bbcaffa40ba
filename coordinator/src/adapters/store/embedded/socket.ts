/** The `stream` of a `pg.Client`: looks like a connected socket, speaks to the engine in this process. No TCP port is opened. */
import { Duplex } from 'node:stream';
import { FRAME, FrameSplitter, greeting, isSslRequest } from './protocol.ts';
import type { Frame } from './protocol.ts';
import type { Participant, Session } from './session.ts';

export class EngineSocket extends Duplex implements Participant {
  readonly #session: Session;
  readonly #serverVersion: string;
  readonly #splitter = new FrameSplitter();
  /** Frames since the last Query or Sync: the engine takes a whole exchange at a time. */
  #exchange: Uint8Array[] = [];
  #listens = false;

  constructor(session: Session, serverVersion: string) {
    super({ allowHalfOpen: false });
    this.#session = session;
    this.#serverVersion = serverVersion;
    session.join(this);
  }

  get listens(): boolean {
    return this.#listens;
  }

  notify(notifications: Uint8Array<ArrayBuffer>): void {
    if (!this.destroyed) this.push(notifications);
  }

  expire(): void {
    this.destroy(new Error('terminating connection due to idle-in-transaction timeout'));
  }

  // What pg calls on a net.Socket.
  connect(): this {
    queueMicrotask(() => this.emit('connect'));
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  override _read(): void {
    // Answers are pushed as they come.
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#feed(chunk).then(
      () => done(),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const finish = (): void => done(error);
    this.#session.leave(this).then(finish, finish);
  }

  async #feed(chunk: Uint8Array): Promise<void> {
    for (const frame of this.#splitter.push(chunk)) await this.#take(frame);
  }

  async #take(frame: Frame): Promise<void> {
    if (frame.type === 0) {
      this.push(isSslRequest(frame) ? new Uint8Array([0x4e]) : greeting(this.#serverVersion));
      return;
    }
    if (frame.type === FRAME.terminate) {
      this.push(null);
      this.destroy();
      return;
    }
    this.#exchange.push(frame.bytes);
    if (frame.type === FRAME.query || frame.type === FRAME.sync) await this.#run();
  }

  async #run(): Promise<void> {
    const bytes = Buffer.concat(this.#exchange);
    this.#exchange = [];
    if (!this.#listens && bytes.includes('LISTEN')) this.#listens = true;
    const answer = await this.#session.exchange(this, bytes);
    if (!this.destroyed) this.push(answer.reply);
  }
}
