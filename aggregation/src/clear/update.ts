/** The update of the `clear` protection on the wire: `docs/protocol/wire-format.md`, section 2. */
import { CryptoError, fromHex, Reader, toHex, utf8, Writer } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import { parseDigest, parseRoundId } from '../ids.ts';
import type { Digest, RoundId } from '../ids.ts';

const MAGIC = utf8('CRPU');
const FORMAT = 1;
const CLEAR = 0;
const METRIC_LIMIT = 32;
const METRIC_NAME = /^[a-z][a-zA-Z0-9]{0,63}$/;

/** Metrics that the client measured while it trained, by name (letters and digits, a small one first, at most 64); finite, at most 32. */
export type Metrics = Readonly<Record<string, number>>;

export interface ClearUpdate {
  readonly round: RoundId;
  /** Weights that the delta starts from. */
  readonly base: Digest;
  readonly layout: Digest;
  /** Number of training examples: the weight of this update in the mean. */
  readonly examples: number;
  readonly metrics: Metrics;
  /** Trained minus base, in the order of the layout. */
  readonly delta: Float32Array;
}

/** @throws AggregationError `MESSAGE_INVALID` or CryptoError `ENCODE_RANGE` on what the decoder would refuse */
export function encodeClearUpdate(update: ClearUpdate): Uint8Array<ArrayBuffer> {
  const writer = new Writer().bytes(MAGIC).u8(FORMAT).u8(CLEAR);
  writer.text(update.round).bytes(fromHex(update.base)).bytes(fromHex(update.layout)).u32(update.examples);
  const metrics = Object.entries(update.metrics).sort(([a], [b]) => (a < b ? -1 : 1));
  checkMetricCount(metrics.length);
  writer.u8(metrics.length);
  for (const [name, value] of metrics) writer.text(checkedMetricName(name)).f64(value);
  return writer.u32(update.delta.length).bytes(littleEndian(update.delta)).finish();
}

/** Bytes of an update without its metrics: what an upload may hold is bounded by this plus a small allowance. */
export function clearUpdateLimit(parameters: number): number {
  return 4 * parameters + 256 + METRIC_LIMIT * 80;
}

/** Total: every input is either an update or an error. @throws AggregationError `MESSAGE_INVALID` */
export function decodeClearUpdate(bytes: Uint8Array): ClearUpdate {
  try {
    return read(new Reader(bytes));
  } catch (cause) {
    if (cause instanceof CryptoError || (cause instanceof AggregationError && cause.code === 'ID_MALFORMED')) {
      throw new AggregationError('MESSAGE_INVALID', `not an update: ${cause.message}`, { cause });
    }
    throw cause;
  }
}

function read(reader: Reader): ClearUpdate {
  if (toHex(reader.bytes(4)) !== toHex(MAGIC)) throw invalid('it does not start with CRPU');
  if (reader.u8() !== FORMAT) throw invalid('its format is not 1');
  if (reader.u8() !== CLEAR) throw invalid('its protection is not clear');
  const round = parseRoundId(reader.text(80)).id;
  const base = parseDigest(toHex(reader.bytes(32)));
  const layout = parseDigest(toHex(reader.bytes(32)));
  const examples = reader.u32();
  const metrics = readMetrics(reader);
  const length = reader.u32();
  const delta = floats(reader.bytes(4 * length));
  reader.end();
  return { round, base, layout, examples, metrics, delta };
}

function readMetrics(reader: Reader): Metrics {
  const count = reader.u8();
  checkMetricCount(count);
  const metrics: Record<string, number> = Object.create(null) as Record<string, number>;
  let last = '';
  for (let i = 0; i < count; i++) {
    const name = checkedMetricName(reader.text(64));
    if (i > 0 && name <= last) throw invalid('its metric names are not in order');
    metrics[name] = reader.f64();
    last = name;
  }
  return metrics;
}

function checkMetricCount(count: number): void {
  if (count > METRIC_LIMIT) throw invalid(`it has ${count} metrics, at most ${METRIC_LIMIT} allowed`);
}

function checkedMetricName(name: string): string {
  if (METRIC_NAME.test(name)) return name;
  throw invalid(`its metric "${name}" is not named by letters and digits, a small letter first, at most 64`);
}

// Typed arrays have the byte order of the machine, and every machine that Node 24 runs on is little-endian.
function littleEndian(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** A copy: the bytes of a message need not be aligned to four. */
function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function invalid(why: string): AggregationError {
  return new AggregationError('MESSAGE_INVALID', `not an update: ${why}`);
}
