/**
 * What all clients of a round must do alike, as one digest: the layout, the topology, the local training and the protection. It stands in
 * the session of secure aggregation, so that a coordinator that lets all but one client train for nothing, or with another loss, leaves
 * them without a common key instead of a sum in which one update stands alone.
 */
import { sha256Hex, utf8 } from '@carapace/crypto';
import { parseDigest } from './ids.ts';
import type { Digest } from './ids.ts';
import type { LocalTraining, Protection } from './task.ts';

export interface Work {
  readonly layout: Digest;
  readonly topology: Digest;
  readonly training: LocalTraining;
  readonly protection: Protection;
}

export function workDigest({ layout, topology, training, protection }: Work): Digest {
  return parseDigest(sha256Hex(utf8(canonical({ layout, topology, training, protection }))));
}

/** JSON with the members of every object in the order of their names: a database or a parser may have changed it. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
