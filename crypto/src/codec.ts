/**
 * Canonical, total, bounded binary codec. Integers are little-endian. Two laws hold for every codec built on it:
 * `decode(encode(x)) = x`, and `encode(decode(b)) = b` for every accepted `b`. Lengths are checked against a limit that
 * the reader names before anything is allocated.
 */
import { concatBytes, fromUtf8, utf8 } from './bytes.ts';
import { CryptoError } from './errors.ts';

export class Writer {
  readonly #parts: Uint8Array[] = [];

  /** Bytes as they are, without a length: for fields whose size the format fixes. */
  bytes(value: Uint8Array): this {
    this.#parts.push(value);
    return this;
  }

  u8(value: number): this {
    return this.#fixed(1, value, 0xff, (view) => view.setUint8(0, value));
  }

  u16(value: number): this {
    return this.#fixed(2, value, 0xffff, (view) => view.setUint16(0, value, true));
  }

  u32(value: number): this {
    return this.#fixed(4, value, 0xffff_ffff, (view) => view.setUint32(0, value, true));
  }

  u64(value: bigint): this {
    if (value < 0n || value >= 1n << 64n) throw new CryptoError('ENCODE_RANGE', `${value} does not fit 64 bits`);
    return this.#view(8, (view) => view.setBigUint64(0, value, true));
  }

  /** A binary64 number; only finite values, so that one value has one spelling. */
  f64(value: number): this {
    if (!Number.isFinite(value)) throw new CryptoError('ENCODE_RANGE', `${value} is not finite`);
    return this.#view(8, (view) => view.setFloat64(0, value === 0 ? 0 : value, true));
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
    return concatBytes(...this.#parts);
  }

  #fixed(size: number, value: number, max: number, set: (view: DataView) => void): this {
    if (!Number.isInteger(value) || value < 0 || value > max) {
      throw new CryptoError('ENCODE_RANGE', `${value} is not an integer in [0, ${max}]`);
    }
    return this.#view(size, set);
  }

  #view(size: number, set: (view: DataView) => void): this {
    const part = new Uint8Array(size);
    set(new DataView(part.buffer));
    this.#parts.push(part);
    return this;
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
