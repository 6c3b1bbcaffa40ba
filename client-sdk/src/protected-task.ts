/**
 * How a task was protected when this device first took part in it, in one word: the protection, and with shares whose they are. A task never
 * changes either: whoever says so wants to see what was hidden before.
 */
import type { Protection, TaskId } from '@carapace/aggregation';
import { toBase64url } from '@carapace/crypto';
import type { PublicKey } from '@carapace/crypto';

const NAMES: Readonly<Record<string, string>> = {
  secagg: 'secure aggregation (secagg)',
  shares: 'two aggregators (shares)',
};

export function sharedWith(aggregator: PublicKey): string {
  return `shares:${toBase64url(aggregator)}`;
}

/** Why a task that was protected so is not served with this protection, or null. @param before null when it was never */
export function downgrade(task: TaskId, before: string | null, now: Protection['kind']): string | null {
  const kind = before?.split(':', 1)[0];
  if (kind === undefined || kind === now) return null;
  return `${task} was protected by ${NAMES[kind] ?? kind} before: this device does not take part in it with ${now}`;
}

/** Whether the other shares of this task went to somebody else than this one before. */
export function isOtherAggregator(before: string | null, aggregator: PublicKey): boolean {
  return before !== null && before.includes(':') && before !== sharedWith(aggregator);
}
