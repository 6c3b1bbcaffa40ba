/** Compares every entry of a reference file with what this package computes. */
import { AggregationError } from '../../errors.ts';
import { readEntries } from './entry.ts';
import type { ReferenceEntry } from './entry.ts';
import { quantityOf } from './quantities.ts';

export interface ReferenceResult {
  readonly id: string;
  /** Infinity as the text "Infinity", as in the file. */
  readonly expected: number | 'Infinity';
  readonly got: number | 'Infinity' | null;
  readonly ok: boolean;
  /** Why nothing was computed; null when something was. */
  readonly unsupported: string | null;
}

/** How far above an exact value an accountant may be. */
const GOAL = 1e-3;

/** @throws AggregationError `PRIVACY_QUERY_INVALID` when the file does not have the form */
export function checkReferences(file: unknown): readonly ReferenceResult[] {
  return readEntries(file).map(checkEntry);
}

function checkEntry(entry: ReferenceEntry): ReferenceResult {
  const { id } = entry;
  const expected = told(entry.expected);
  try {
    const got = quantityOf(entry);
    if (got !== undefined) return { id, expected, got: told(got), ok: agrees(entry, got), unsupported: null };
    const what = [entry.accountant, entry.mechanism, entry.quantity].filter((part) => part !== '').join(' ');
    return { id, expected, got: null, ok: false, unsupported: `${what} is not known` };
  } catch (error) {
    if (!(error instanceof AggregationError)) throw error;
    return { id, expected, got: null, ok: false, unsupported: error.message };
  }
}

function told(value: number): number | 'Infinity' {
  return value === Infinity ? 'Infinity' : value;
}

function agrees({ comparison, expected, relative, absolute }: ReferenceEntry, got: number): boolean {
  if (expected === Infinity || got === Infinity) return expected === got;
  const slack = Math.max(relative * Math.abs(expected), absolute);
  if (comparison === 'upper' || comparison === 'formula' || slack === 0) return Math.abs(got - expected) <= slack;
  return got >= expected - slack && got <= expected * (1 + GOAL) + absolute;
}
