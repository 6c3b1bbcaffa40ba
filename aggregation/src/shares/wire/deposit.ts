/** A deposit on its own, as the coordinator keeps it. */
import { Reader, Writer } from '@carapace/crypto';
import { total } from '../../secagg/wire/frame.ts';
import { readDeposit, writeDeposit } from './share-input.ts';
import type { Deposit } from './share-input.ts';

export function encodeDeposit(deposit: Deposit): Uint8Array<ArrayBuffer> {
  return writeDeposit(new Writer(), deposit).finish();
}

/** @throws AggregationError `MESSAGE_INVALID` */
export function decodeDeposit(bytes: Uint8Array): Deposit {
  return total('a deposit', () => {
    const reader = new Reader(bytes);
    const deposit = readDeposit(reader);
    reader.end();
    return deposit;
  });
}
