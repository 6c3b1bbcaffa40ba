/**
 * A Poisson cohort: every enrolled client is in it by a coin of its own, whoever else is. Coins are a function of a secret of the round, which is in the
 * records before anybody is told: a process that dies while it selects, and the next one, flip the same.
 */
import type { ClientId } from '@carapace/aggregation';
import { deriveKey, DOMAINS, hmacSha256, utf8 } from '@carapace/crypto';

/** @param secret 32 bytes of the round; @param probability of each coin, from 0 to 1 */
export function drawCohort<T extends { readonly client: ClientId }>(
  secret: Uint8Array,
  probability: number,
  enrolled: readonly T[],
): T[] {
  const key = deriveKey(secret, DOMAINS.cohortCoin, new Uint8Array());
  const bound = belowOf(probability);
  return enrolled.filter(({ client }) => firstWord(hmacSha256(key, utf8(client))) < bound);
}

/** So many of 2^64 words: a coin comes up with no more than the probability, and 2^-53 less at most. */
function belowOf(probability: number): bigint {
  // A double times 2^53 keeps its digits; what is below a whole number then is cut off.
  return BigInt(Math.floor(probability * 2 ** 53)) << 11n;
}

function firstWord(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
}
