/** The second aggregator's answers as the records keep them: its key; whose shares it added up, and the blob that holds the sum; that it declined. */
import { parseDigest } from '@carapace/aggregation';
import type { Digest, RoundId } from '@carapace/aggregation';
import { fromUtf8, utf8 } from '@carapace/crypto';
import type { ProtocolMessage, Records } from '../../ports.ts';

export interface KeptSum {
  readonly digest: Digest;
  readonly members: readonly number[];
}

/** The number under which the aggregator's messages are kept: no cohort is so large. */
export const AGGREGATOR_MEMBER = 0xffff;
/** And the one under which it is kept that it declined a step: a message of its own, so that it lasts and is there once. */
const DECLINED_MEMBER = 0x1_0000;

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

/** A step in which the aggregator speaks. */
export type AggregatorStep = 'advertise-keys' | 'unmask';

export function isAggregatorStep(step: string | null): step is AggregatorStep {
  return step === 'advertise-keys' || step === 'unmask';
}

/** The aggregator's message of one step, or null. */
export async function messageOf(records: Records, id: RoundId, step: AggregatorStep): Promise<Uint8Array | null> {
  return (await spokenIn(records, id, step)).message;
}

/** What the aggregator has said in one step. */
export async function spokenIn(
  records: Records,
  id: RoundId,
  step: AggregatorStep,
): Promise<{ readonly message: Uint8Array | null; readonly declined: boolean }> {
  const messages = await records.listProtocolMessages(id, step, []);
  return {
    message: messages.find(({ member }) => member === AGGREGATOR_MEMBER)?.message ?? null,
    declined: messages.some(({ member }) => member === DECLINED_MEMBER),
  };
}

export function declineMessage(step: AggregatorStep, reason: string): ProtocolMessage {
  return { step, member: DECLINED_MEMBER, message: utf8(reason) };
}
