/**
 * The device's own side of differential privacy: it computes the round's noise for itself, counts what it has given away in a ledger of its
 * own, and takes no part beyond what its owner allows, whatever the coordinator's budgets say.
 */
import { eventOf, noisePlan, noisyLanes, noisyQuantiser, PrivacyAccount } from '@carapace/aggregation';
import type {
  Assignment,
  LaneFormat,
  Layout,
  NoisyCohort,
  PrivacyEvent,
  Quantiser,
  RoundId,
} from '@carapace/aggregation';
import type { RandomSource } from '@carapace/crypto';
import { ClientError } from './errors.ts';
import type { ClientEvent } from './events.ts';
import type { PrivacyLimit } from './policy.ts';
import type { StateDirectory } from './state/state-directory.ts';

export interface OwnNoise {
  /** Counted on disk first, then made: what may have left the device is in its ledger. */
  lanes(delta: Float32Array, context: Uint8Array, format: LaneFormat): Promise<Uint32Array>;
}

export interface OwnNoiseMeans {
  readonly state: StateDirectory;
  readonly limit: PrivacyLimit | null;
  readonly random: RandomSource;
  readonly onEvent: (event: ClientEvent) => void;
}

/** Null for a task without noise. @throws ClientError `PROTECTION_REFUSED` when the owner's limit does not allow the round */
export async function ownNoise(
  { state, limit, random, onEvent }: OwnNoiseMeans,
  { round, protection }: Assignment,
  layout: Layout,
  session: NoisyCohort & { readonly quantiser: Quantiser },
): Promise<OwnNoise | null> {
  if (protection.kind === 'clear' || protection.privacy === null) {
    if (limit !== null) throw refused('PRIVACY_NONE', 'the round adds no noise, and this device gives nothing without');
    return null;
  }
  const { privacy } = protection;
  checkQuantiser(session.quantiser, noisyQuantiser(protection, privacy));
  const plan = noisePlan(protection, privacy, session, layout.size);
  const event = eventOf(plan);
  const epsilon = await checkLimit(state, round, event, limit);
  onEvent({ kind: 'private', round, noiseMultiplier: privacy.noiseMultiplier, epsilon, limit: limit?.epsilon ?? null });
  return {
    lanes: async (delta, context, format) => {
      await state.noteCharge(round, event);
      return noisyLanes(plan, privacy, context, delta, format, random);
    },
  };
}

/** What this device would have given away with this round. */
async function checkLimit(
  state: StateDirectory,
  round: RoundId,
  event: PrivacyEvent,
  limit: PrivacyLimit | null,
): Promise<number | null> {
  if (limit === null) return null;
  const before = await state.charges();
  const events = [...before.filter((charge) => charge.round !== round).map((charge) => charge.event), event];
  const account = new PrivacyAccount(
    'zero-out',
    events.map((one) => ({ event: one, count: 1 })),
  );
  const epsilon = account.epsilon(limit.delta).value;
  if (epsilon <= limit.epsilon) return epsilon;
  throw refused('PRIVACY_LIMIT', `epsilon would be ${epsilon.toFixed(3)} after it, this device gives ${limit.epsilon}`);
}

function checkQuantiser(found: Quantiser, wanted: Quantiser): void {
  if (found.clip !== wanted.clip || found.bits !== wanted.bits || found.maxWeight !== wanted.maxWeight)
    throw refused('SECAGG_POLICY', 'the session counts otherwise than its noise is made for');
}

function refused(code: string, why: string): ClientError {
  return new ClientError('PROTECTION_REFUSED', `${code}: ${why}`);
}
