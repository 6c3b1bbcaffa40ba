/** Which mask mode a session has, and what follows from it. */
import type { LaneFormat } from './quantiser.ts';
import { rlweVectorMask } from './rlwe-mask.ts';
import type { MaskMode, VectorMask } from './vector-mask.ts';
import { wordMask } from './word-mask.ts';

/** Clients up to which a mask of the vector's length for each of the others costs less than an RLWE mask. */
const WORDS_LIMIT = 12;

export function modeFor(clients: number): MaskMode {
  return clients <= WORDS_LIMIT ? 'words' : 'rlwe';
}

/** @throws AggregationError `SECAGG_PARAMETERS` when the mode cannot hold the sums */
export function vectorMask(mode: MaskMode, format: LaneFormat, context: Uint8Array): VectorMask {
  switch (mode) {
    case 'words':
      return wordMask(format);
    case 'rlwe':
      return rlweVectorMask(format, context);
  }
}

const ANY_CONTEXT = new Uint8Array(32);

/** Bytes that one client uploads as its masked input. @throws AggregationError `SECAGG_PARAMETERS` */
export function payloadBytes(mode: MaskMode, format: LaneFormat): number {
  return vectorMask(mode, format, ANY_CONTEXT).payloadBytes;
}
