/** The second aggregator's answer as the records keep it: whose shares it added up, and the blob that holds the sum. */
import { parseDigest } from '@carapace/aggregation';
import type { Digest, RoundId } from '@carapace/aggregation';
import { fromUtf8, utf8 } from '@carapace/crypto';
import type { Records } from '../../ports.ts';

export interface KeptSum {
  readonly digest: Digest;
  readonly members: readonly number[];
}

/** The number under which the aggregator's messages are kept: no cohort is so large. */
export const AGGREGATOR_MEMBER = 0xffff;

export function encodeKeptSum({ digest, members }: KeptSum): Uint8Array<ArrayBuffer> {
  return utf8(JSON.stringify({ digest, members }));
}

/** Null as long as the aggregator has not answered, and in a round without one. */
export async function sumOf(records: Records, id: RoundId): Promise<KeptSum | null> {
  const kept = await messageOf(records, id, 'unmask');
  if (kept === null) return null;
  const { digest, members } = JSON.parse(fromUtf8(kept)) as { digest: string; members: number[] };
  return { digest: parseDigest(digest), members };
}

/** The aggregator's message of one step, or null. */
export async function messageOf(
  records: Records,
  id: RoundId,
  step: 'advertise-keys' | 'unmask',
): Promise<Uint8Array | null> {
  const messages = await records.listProtocolMessages(id, step, []);
  return messages.find(({ member }) => member === AGGREGATOR_MEMBER)?.message ?? null;
}
