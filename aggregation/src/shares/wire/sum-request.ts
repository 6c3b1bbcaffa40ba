/** What the aggregator is asked to add up on the wire: the deposits of those whose inputs the coordinator has. */
import { frame, invalid, KIND, unframe } from '../../secagg/wire/frame.ts';
import { readDeposit, writeDeposit } from './share-input.ts';
import type { Deposit } from './share-input.ts';

/** @param deposits in order of the members */
export function encodeSumRequest(context: Uint8Array, deposits: readonly Deposit[]): Uint8Array<ArrayBuffer> {
  const writer = frame(KIND.sumRequest, context).u16(deposits.length);
  for (const deposit of deposits) writeDeposit(writer, deposit);
  return writer.finish();
}

/** @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeSumRequest(context: Uint8Array, bytes: Uint8Array): Deposit[] {
  return unframe(KIND.sumRequest, context, bytes, (reader) => {
    const deposits = Array.from({ length: reader.u16() }, () => readDeposit(reader));
    if (deposits.some(({ member }, i) => i > 0 && member <= deposits[i - 1]!.member))
      throw invalid('its members are not in rising order');
    return deposits;
  });
}
