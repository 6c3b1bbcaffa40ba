/**
 * The few frames of the PostgreSQL protocol (version 3.0, "Message Formats") that stand between `pg` and the engine. A frame is
 * a type byte, a 32-bit length that counts itself, and a body; only the start-up packet has no type byte.
 */

export const FRAME = {
  query: 0x51,
  sync: 0x53,
  terminate: 0x58,
  error: 0x45,
  notification: 0x41,
  ready: 0x5a,
} as const;

/** Transaction status in ReadyForQuery: `I` is idle. */
const IDLE = 0x49;
const SSL_REQUEST = 80_877_103;
const FRAME_LIMIT = 1 << 30;

export interface Frame {
  readonly type: number;
  /** The whole frame. */
  readonly bytes: Uint8Array;
}

/** Splits what `pg` writes into start-up packets (type 0) and frames, however the stream is cut. */
export class FrameSplitter {
  #buffered: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #started = false;

  push(chunk: Uint8Array): Frame[] {
    this.#buffered = join(this.#buffered, chunk);
    const frames: Frame[] = [];
    for (let frame = this.#take(); frame !== null; frame = this.#take()) frames.push(frame);
    return frames;
  }

  #take(): Frame | null {
    const header = this.#started ? 1 : 0;
    if (this.#buffered.length < header + 4) return null;
    const length = header + viewOf(this.#buffered).getInt32(header);
    if (length < header + 4 || length > FRAME_LIMIT) throw new Error(`a protocol frame declares ${length} bytes`);
    if (this.#buffered.length < length) return null;
    const bytes = this.#buffered.subarray(0, length);
    this.#buffered = this.#buffered.subarray(length);
    if (this.#started) return { type: bytes[0] ?? 0, bytes };
    this.#started = viewOf(bytes).getInt32(4) !== SSL_REQUEST;
    return { type: 0, bytes };
  }
}

export function isSslRequest(frame: Frame): boolean {
  return frame.type === 0 && viewOf(frame.bytes).getInt32(4) === SSL_REQUEST;
}

/** What a server says to a client that has just connected: trusted, its parameters, ready. */
export function greeting(serverVersion: string): Uint8Array<ArrayBuffer> {
  const parameters: [string, string][] = [
    ['server_version', serverVersion],
    ['client_encoding', 'UTF8'],
    ['integer_datetimes', 'on'],
    ['standard_conforming_strings', 'on'],
  ];
  const text = new TextEncoder();
  const status = parameters.map(([name, value]) => frame('S', text.encode(`${name}\0${value}\0`)));
  const authenticationOk = frame('R', new Uint8Array(4));
  const backendKey = frame('K', new Uint8Array(8));
  return [authenticationOk, ...status, backendKey, frame('Z', Uint8Array.of(IDLE))].reduce<Uint8Array<ArrayBuffer>>(
    join,
    new Uint8Array(0),
  );
}

export function simpleQuery(sql: string): Uint8Array<ArrayBuffer> {
  return frame('Q', new TextEncoder().encode(`${sql}\0`));
}

/** An error of the SQLSTATE given, after which the client may go on. */
export function refusal(code: string, message: string): Uint8Array<ArrayBuffer> {
  const fields = `SERROR\0VERROR\0C${code}\0M${message}\0\0`;
  return join(frame('E', new TextEncoder().encode(fields)), frame('Z', Uint8Array.of(IDLE)));
}

export interface Answer {
  /** For the session that asked. */
  readonly reply: Uint8Array<ArrayBuffer>;
  /** For every session that listens: in one engine they are all one connection. */
  readonly notifications: Uint8Array<ArrayBuffer> | null;
  /** Whether the session is in a transaction block (or a failed one) after this exchange. */
  readonly inTransaction: boolean;
  /** The server ends after this answer (severity FATAL or PANIC), as when the disk does not sync. */
  readonly isLast: boolean;
}

export function splitAnswer(output: Uint8Array<ArrayBuffer>): Answer {
  const view = viewOf(output);
  const own: Uint8Array[] = [];
  const notes: Uint8Array[] = [];
  let inTransaction = false;
  let isLast = false;
  for (let at = 0; at + 5 <= output.length;) {
    const length = 1 + view.getInt32(at + 1);
    const bytes = output.subarray(at, at + length);
    if (output[at] === FRAME.notification) notes.push(bytes);
    else own.push(bytes);
    if (output[at] === FRAME.error)
      isLast ||= /^S(FATAL|PANIC)\0/.test(new TextDecoder().decode(bytes.subarray(5, 12)));
    if (output[at] === FRAME.ready) inTransaction = output[at + 5] !== IDLE;
    at += length;
  }
  if (notes.length === 0) return { reply: output, notifications: null, inTransaction, isLast };
  return {
    reply: own.reduce<Uint8Array<ArrayBuffer>>(join, new Uint8Array(0)),
    notifications: notes.reduce<Uint8Array<ArrayBuffer>>(join, new Uint8Array(0)),
    inTransaction,
    isLast,
  };
}

function frame(type: string, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(5 + body.length);
  bytes[0] = type.charCodeAt(0);
  viewOf(bytes).setInt32(1, 4 + body.length);
  bytes.set(body, 5);
  return bytes;
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
