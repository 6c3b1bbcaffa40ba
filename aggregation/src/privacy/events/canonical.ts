/** One way to write events down: keys in alphabetical order, numbers as the shortest decimal strings that give them back. */
import type { Charge, PrivacyEvent } from './event.ts';

export function canonicalEvent(event: PrivacyEvent): string {
  return JSON.stringify(written(event));
}

/** A list as {@link parseCharges} reads it. */
export function canonicalCharges(charges: readonly Charge[]): string {
  return JSON.stringify(charges.map(({ event, count }) => ({ count: String(count), event: written(event) })));
}

/** The same events added up, in the order of their canonical form: what a budget is a function of. */
export function gatherCharges(charges: readonly Charge[]): readonly Charge[] {
  const gathered = new Map<string, Charge>();
  for (const { event, count } of charges) {
    const key = canonicalEvent(event);
    gathered.set(key, { event, count: count + (gathered.get(key)?.count ?? 0) });
  }
  const byKey = [...gathered].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return byKey.map(([, charge]) => charge);
}

function written(value: unknown): unknown {
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return value.map(written);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, written(inner)]));
}
