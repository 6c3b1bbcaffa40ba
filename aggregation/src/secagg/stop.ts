/** How a handler of one step says that it goes no further: thrown inside, a value at the door of the state machines. */
import { CryptoError } from '@carapace/crypto';
import type { CryptoErrorCode } from '@carapace/crypto';
import { AggregationError } from '../errors.ts';
import type { SecaggRefusal } from '../errors.ts';

export interface Refused {
  readonly code: SecaggRefusal;
  readonly why: string;
}

export class Stop extends Error {
  override readonly name = 'Stop';
  readonly code: SecaggRefusal;

  constructor(code: SecaggRefusal, why: string) {
    super(why);
    this.code = code;
  }
}

/** The refusal behind what a handler threw; anything that is no fault of the peer is thrown on. */
export function refusalOf(error: unknown): Refused {
  if (error instanceof Stop) return { code: error.code, why: error.message };
  if (error instanceof AggregationError && error.code === 'MESSAGE_INVALID') {
    return { code: 'SECAGG_MALFORMED', why: error.message };
  }
  const code = error instanceof CryptoError ? OF_A_PEER[error.code] : undefined;
  if (code === undefined) throw error;
  return { code, why: (error as CryptoError).message };
}

/** What can only be wrong because a peer sent it. */
const OF_A_PEER: Partial<Record<CryptoErrorCode, SecaggRefusal>> = {
  KEY_MALFORMED: 'SECAGG_KEY',
  SEAL_KEY: 'SECAGG_KEY',
  SEAL_CIPHERTEXT: 'SECAGG_CIPHERTEXT',
  SEAL_NOISE: 'SECAGG_SHARE_WRONG',
};
