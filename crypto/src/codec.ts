/**
 * Canonical, total, bounded binary codec. Integers are little-endian. Two laws hold for every codec built on it:
 * `decode(encode(x)) = x`, and `encode(decode(b)) = b` for every accepted `b`. Lengths are checked against a limit that
 * the reader names before anything is allocated.
 */
import { concatBytes, fromUtf8, utf8 } from './bytes.ts';
import { CryptoError } from './errors.ts';

/** Longer values are kept by reference until the end, instead of being copied twice. */
const LONG_BYTES = 4096;

export class Writer {
  /** What is finished; behind it `#length` bytes of `#buffer`. */
  readonly #parts: Uint8Array[] = [];
  #buffer = new Uint8Array(64);
  #view = new DataView(this.#buffer.buffer);
  #length = 0;

  /** Bytes as they are, without a length: for fields whose size the format fixes. Not to be changed before `finish`. */
  bytes(value: Uint8Array): this {
    if (value.length < LONG_BYTES) {
      const at = this.#reserve(value.length);
      this.#buffer.set(value, at);
      return this;
    }
    this.#parts.push(this.#buffer.slice(0, this.#length), value);
    this.#length = 0;
    return this;
  }

  u8(value: number): this {
    checkInteger(value, 0xff);
    const at = this.#reserve(1);
    this.#buffer[at] = value;
    return this;
  }

  u16(value: number): this {
    checkInteger(value, 0xffff);
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, true);
    return this;
  }

  u32(value: number): this {
    checkInteger(value, 0xffff_ffff);
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u64(value: bigint): this {
    if (value < 0n || value >= 1n << 64n) throw new CryptoError('ENCODE_RANGE', `${value} does not fit 64 bits`);
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, value, true);
    return this;
  }

  /** A binary64 number; only finite values, so that one value has one spelling. */
  f64(value: number): this {
    if (!Number.isFinite(value)) throw new CryptoError('ENCODE_RANGE', `${value} is not finite`);
    const at = this.#reserve(8);
    this.#view.setFloat64(at, value === 0 ? 0 : value, true);
    return this;
  }

  /** A byte string behind its 32-bit length. */
  blob(value: Uint8Array): this {
    return this.u32(value.length).bytes(value);
  }

  /** UTF-8 text behind its 32-bit byte length. Half a surrogate pair is refused: it would be read back as another character. */
  text(value: string): this {
    if (!value.isWellFormed()) throw new CryptoError('ENCODE_RANGE', 'a text has half a surrogate pair');
    return this.blob(utf8(value));
  }

  finish(): Uint8Array<ArrayBuffer> {
    const rest = this.#buffer.subarray(0, this.#length);
    return this.#parts.length === 0 ? rest.slice() : concatBytes(...this.#parts, rest);
  }

  /** Room for so many bytes more: where they begin. */
  #reserve(size: number): number {
    const at = this.#length;
    this.#length += size;
    if (this.#length > this.#buffer.length) {
      const longer = new Uint8Array(2 * this.#length);
      longer.set(this.#buffer);
      this.#buffer = longer;
      this.#view = new DataView(longer.buffer);
    }
    return at;
  }
}

function checkInteger(value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new CryptoError('ENCODE_RANGE', `${value} is not an integer in [0, ${max}]`);
  }
}

export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next `length` bytes, as a view on the input. */
  bytes(length: number): Uint8Array {
    const from = this.#advance(length);
    return this.#bytes.subarray(from, from + length);
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#advance(8), true);
  }

  f64(): number {
    const value = this.#view.getFloat64(this.#advance(8), true);
    if (!Number.isFinite(value) || Object.is(value, -0)) {
      throw new CryptoError('DECODE_INVALID', 'a number is not finite, or is a negative zero');
    }
    return value;
  }

  blob(maxLength: number): Uint8Array {
    const length = this.u32();
    if (length > maxLength) throw new CryptoError('DECODE_TOO_LONG', `${length} bytes, at most ${maxLength} allowed`);
    return this.bytes(length);
  }

  text(maxBytes: number): string {
    return fromUtf8(this.blob(maxBytes));
  }

  /** Must be the last call: a message with bytes left over is refused. */
  end(): void {
    if (this.remaining !== 0) throw new CryptoError('DECODE_TRAILING', `${this.remaining} bytes after the last field`);
  }

  #advance(length: number): number {
    if (length < 0 || length > this.remaining) {
      throw new CryptoError('DECODE_TRUNCATED', `${length} bytes wanted, ${this.remaining} left`);
    }
    const from = this.#at;
    this.#at += length;
    return from;
  }
}
