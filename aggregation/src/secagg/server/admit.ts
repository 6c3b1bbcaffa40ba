/** Rules of admission that every step shares: a client speaks for itself, once, and enough of them must have spoken. */
import { leastMembers } from '../session.ts';
import type { Session } from '../session.ts';
import { Stop } from '../stop.ts';
import type { ByMember } from './state.ts';

/** The map with the message in it; the same map when the very message is there already. @throws Stop */
export function admit<T extends { readonly member: number }>(
  known: ByMember<T>,
  from: number,
  message: T,
): ByMember<T> {
  if (message.member !== from) throw new Stop('SECAGG_MEMBER', `member ${from} speaks for member ${message.member}`);
  const before = known.get(from);
  if (before === undefined) return new Map(known).set(from, message);
  // Both came out of one decoder, so equal messages have equal texts; seen only on a retry.
  if (JSON.stringify(before) === JSON.stringify(message)) return known;
  throw new Stop('SECAGG_DUPLICATE', `member ${from} already sent another one`);
}

/** @throws Stop `SECAGG_COHORT_SMALL` */
export function requireEnough(session: Session, count: number, what: string): void {
  const least = leastMembers(session);
  if (count < least) throw new Stop('SECAGG_COHORT_SMALL', `${count} clients ${what}, ${least} needed`);
}

export function inOrder<T>(map: ByMember<T>): T[] {
  return [...map].sort(([a], [b]) => a - b).map(([, value]) => value);
}

export function membersOf(map: ByMember<unknown>): number[] {
  return [...map.keys()].sort((a, b) => a - b);
}
