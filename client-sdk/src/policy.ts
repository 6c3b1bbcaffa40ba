/** The device's own floor: what it will not do whoever asks. What exceeds it is declined, with the reason. */
import { DEFAULT_FLOOR, privacyOf } from '@carapace/aggregation';
import type { Assignment, ClientFloor, Protection } from '@carapace/aggregation';
import type { Membership } from './state/state-directory.ts';

export interface Policy {
  /** Shares with an aggregator that is not pinned hide nothing from a coordinator that named itself: they count as `clear` too. */
  readonly protections: readonly Protection['kind'][];
  readonly maxEpochs: number;
  readonly maxParameters: number;
  /** What a session of secure aggregation, or of shares, must grant at least. */
  readonly secagg: ClientFloor;
  /** What this device gives away in all, in epsilon at delta, by its own count; null sets no limit. */
  readonly privacy: PrivacyLimit | null;
  /** The same of each of its examples, by the noise of its own training; null sets no limit. */
  readonly examples: PrivacyLimit | null;
}

export interface PrivacyLimit {
  readonly epsilon: number;
  readonly delta: number;
}

export const DEFAULT_POLICY: Policy = {
  protections: ['clear', 'secagg', 'shares'],
  maxEpochs: 100,
  maxParameters: 500_000_000,
  secagg: DEFAULT_FLOOR,
  privacy: null,
  examples: null,
};

/** Why this device takes no part, or null. */
export function objection(
  policy: Policy,
  { protection, training, model }: Assignment,
  { aggregator }: Pick<Membership, 'aggregator'>,
): string | null {
  if (!policy.protections.includes(protection.kind))
    return `this device does not take part with the protection ${protection.kind}`;
  if (policy.privacy !== null && privacyOf(protection) === null)
    return 'this device gives nothing without noise, and the round adds none';
  if (policy.examples !== null && !training.privacy)
    return 'this device trains on its examples with noise alone, and the task asks for none';
  if (protection.kind === 'shares' && aggregator === undefined && !policy.protections.includes('clear'))
    return 'this device takes part in the clear no more than with shares for an aggregator that only the coordinator names: pin it (--aggregator)';
  if (training.epochs > policy.maxEpochs)
    return `${training.epochs} epochs are above this device's limit of ${policy.maxEpochs}`;
  const parameters = model.tensors.reduce(
    (sum, { shape }) => sum + shape.reduce((size, length) => size * length, 1),
    0,
  );
  if (parameters > policy.maxParameters)
    return `${parameters} parameters are above this device's limit of ${policy.maxParameters}`;
  return null;
}
