/**
 * safetensors: an 8-byte little-endian header length, a JSON header, the tensors' bytes. Written with the tensors in the order
 * of the layout, so that the data part is exactly the flat float32 vector. Only F32 is read: everything else is refused.
 */
import { concatBytes, fromUtf8, utf8 } from '@carapace/crypto';
import { AggregationError } from './errors.ts';

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface SafetensorsFile {
  readonly tensors: readonly NamedTensor[];
  readonly metadata: Readonly<Record<string, string>>;
  /** All tensors flat, in the order of `tensors` (the order of their offsets). */
  readonly weights: Float32Array<ArrayBuffer>;
}

const HEADER_LIMIT = 16 * 1024 * 1024;

/** The bytes before the tensors' own, padded with spaces to a multiple of 8 as the format advises. */
export function safetensorsHeader(
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const entries: [string, unknown][] = [['__metadata__', metadata]];
  let offset = 0;
  for (const { name, shape } of tensors) {
    const end = offset + 4 * product(shape);
    entries.push([name, { dtype: 'F32', shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const json = utf8(JSON.stringify(Object.fromEntries(entries)));
  const padded = concatBytes(json, new Uint8Array((8 - (json.length % 8)) % 8).fill(0x20));
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  return concatBytes(length, padded);
}

/** Total: every input is either a file or an error. @throws AggregationError `SAFETENSORS_INVALID` */
export function parseSafetensors(bytes: Uint8Array): SafetensorsFile {
  const { header, data } = split(bytes);
  const metadata = header.get('__metadata__') ?? {};
  if (!isStringRecord(metadata)) throw invalid('its metadata is not a map of strings');
  header.delete('__metadata__');
  const tensors = [...header]
    .map(([name, entry]) => parseEntry(name, entry))
    // A tensor without elements ends where the next one begins, so the starts alone do not order them.
    .sort((a, b) => a.from - b.from || a.to - b.to);
  let end = 0;
  for (const { name, shape, from, to } of tensors) {
    if (from !== end || to - from !== 4 * product(shape))
      throw invalid(`the bytes of ${name} overlap, leave a gap or do not fit its shape`);
    end = to;
  }
  if (end !== data.length) throw invalid(`${data.length} bytes of data, ${end} described`);
  const weights = new Float32Array(Uint8Array.from(data).buffer);
  return { tensors: tensors.map(({ name, shape }) => ({ name, shape })), metadata, weights };
}

function split(bytes: Uint8Array): { header: Map<string, unknown>; data: Uint8Array } {
  if (bytes.length < 8) throw invalid('it is shorter than its header length');
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(Math.min(HEADER_LIMIT, bytes.length - 8)))
    throw invalid('its header is longer than the file, or than 16 MiB');
  const end = 8 + Number(length);
  let json: unknown;
  try {
    json = JSON.parse(fromUtf8(bytes.subarray(8, end)));
  } catch (cause) {
    throw new AggregationError('SAFETENSORS_INVALID', 'its header is not JSON', { cause });
  }
  if (!isRecord(json)) throw invalid('its header is not an object');
  return { header: new Map(Object.entries(json)), data: bytes.subarray(end) };
}

function parseEntry(name: string, entry: unknown): NamedTensor & { from: number; to: number } {
  if (!isRecord(entry)) throw invalid(`${name} is not described`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (dtype !== 'F32') {
    const found = typeof dtype === 'string' ? dtype : 'of no known type';
    throw invalid(`${name} is ${found}; only F32 is taken: convert the model to float32`);
  }
  if (!isNaturals(shape) || !isNaturals(offsets) || offsets.length !== 2)
    throw invalid(`${name} has no proper shape and offsets`);
  return { name, shape, from: offsets[0]!, to: offsets[1]! };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isStringRecord(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((text) => typeof text === 'string');
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0);
}

function product(shape: readonly number[]): number {
  return shape.reduce((size, length) => size * length, 1);
}

function invalid(why: string): AggregationError {
  return new AggregationError('SAFETENSORS_INVALID', why);
}
