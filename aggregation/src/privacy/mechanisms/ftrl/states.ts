/** States of correlated noise as bytes, to be kept between steps; every bit of them comes back. */
import { CryptoError, Reader, Writer } from '@carapace/crypto';
import { AggregationError } from '../../../errors.ts';
import type { BandedState } from './banded.ts';
import type { TreeState } from './tree.ts';

const KEY_BYTES = 32;
const [TREE, BANDED] = [1, 2];

export function encodeTreeState({ step, open }: TreeState): Uint8Array<ArrayBuffer> {
  const writer = new Writer().u8(TREE).u32(step).u8(open.length);
  for (const { height, key } of open) writer.u8(height).bytes(key);
  return writer.finish();
}

/** @throws AggregationError `MESSAGE_INVALID` */
export function decodeTreeState(bytes: Uint8Array): TreeState {
  return decoded(bytes, TREE, (reader) => {
    const step = reader.u32();
    const open = Array.from({ length: reader.u8() }, () => {
      return { height: reader.u8(), key: Uint8Array.from(reader.bytes(KEY_BYTES)) };
    });
    return { step, open };
  });
}

export function encodeBandedState({ step, sums, released }: BandedState): Uint8Array<ArrayBuffer> {
  const dimension = sums[0]?.length ?? 0;
  const writer = new Writer().u8(BANDED).u32(step).u32(sums.length).u32(dimension);
  for (const vector of [...sums, ...released])
    writer.bytes(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength));
  return writer.finish();
}

/** @throws AggregationError `MESSAGE_INVALID` */
export function decodeBandedState(bytes: Uint8Array): BandedState {
  return decoded(bytes, BANDED, (reader) => {
    const [step, count, dimension] = [reader.u32(), reader.u32(), reader.u32()];
    const vectors = (): Float64Array[] =>
      Array.from({ length: count }, () => new Float64Array(new Uint8Array(reader.bytes(8 * dimension)).buffer));
    return { step, sums: vectors(), released: vectors() };
  });
}

function decoded<T>(bytes: Uint8Array, kind: number, read: (reader: Reader) => T): T {
  try {
    const reader = new Reader(bytes);
    if (reader.u8() !== kind) throw new AggregationError('MESSAGE_INVALID', 'a state of another kind of noise');
    const state = read(reader);
    reader.end();
    return state;
  } catch (cause) {
    if (cause instanceof CryptoError)
      throw new AggregationError('MESSAGE_INVALID', `no state of noise: ${cause.message}`, { cause });
    throw cause;
  }
}
