/**
 * The device's own side of differential privacy: it computes the round's noise for itself, counts what it has given away in a ledger of its
 * own, and takes no part beyond what its owner allows, whatever the coordinator's budgets say.
 */
import {
  canonicalEvent,
  clearContribution,
  clearNoisePlan,
  eventOf,
  latticeEvent,
  matrixEvent,
  matrixPlanOf,
  noisePlan,
  noisyLanes,
  noisyQuantiser,
  parseRoundId,
  PrivacyAccount,
  privacyOf,
} from '@carapace/aggregation';
import type {
  Assignment,
  LaneFormat,
  Layout,
  NoisyCohort,
  PrivacyEvent,
  Quantiser,
  RoundId,
  StepsCharge,
  UserPrivacy,
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

/** In the clear: what leaves in place of the update. */
export interface ClearNoise {
  contribution(delta: Float32Array): Promise<Float32Array>;
}

export interface OwnNoiseMeans {
  readonly state: StateDirectory;
  readonly limit: PrivacyLimit | null;
  readonly random: RandomSource;
  readonly onEvent: (event: ClientEvent) => void;
}

/** Null for a task without noise. @throws ClientError `PROTECTION_REFUSED` when the owner's limit does not allow the round */
export async function ownNoise(
  means: OwnNoiseMeans,
  { round, protection }: Assignment,
  layout: Layout,
  session: NoisyCohort & { readonly quantiser: Quantiser },
): Promise<OwnNoise | null> {
  const { state, random } = means;
  checkOwn(means, privacyOf(protection));
  if (protection.kind === 'clear' || protection.privacy === null) return null;
  const { privacy } = protection;
  checkQuantiser(session.quantiser, noisyQuantiser(protection, privacy));
  const plan = noisePlan(protection, privacy, session, layout.size);
  const event = eventOf(plan, privacy.placement);
  await count(means, round, event, privacy);
  return {
    lanes: async (delta, context, format) => {
      await state.noteCharge(round, event);
      return noisyLanes(plan, privacy, context, delta, format, random);
    },
  };
}

/** As {@link ownNoise}, where the coordinator sees each update. */
export async function ownClearNoise(
  means: OwnNoiseMeans,
  { round, protection }: Assignment,
  layout: Layout,
): Promise<ClearNoise | null> {
  if (protection.kind !== 'clear') throw new Error('the update is hidden');
  const privacy = privacyOf(protection);
  checkOwn(means, privacy);
  const plan = clearNoisePlan(protection, layout.size);
  if (plan === null || privacy === null) return null;
  const matrix = matrixPlanOf(privacy, layout.size);
  const event = matrix === null ? latticeEvent(plan) : matrixEvent(matrix);
  await count(means, round, event, privacy);
  return {
    contribution: async (delta) => {
      // The event of correlated noise is that of all rounds of the task.
      if (matrix === null || !(await isCounted(means.state, round, event))) await means.state.noteCharge(round, event);
      return clearContribution(plan, privacy, delta, means.random);
    },
  };
}

export interface OwnExamples {
  /** On disk when it resolves. @throws ClientError `PROTECTION_REFUSED` when the owner's limit does not allow it */
  readonly charge: (steps: StepsCharge) => Promise<void>;
  /** @throws ClientError `PROTECTION_REFUSED` when the task's examples have noise and whoever trained did not say so */
  readonly requireCharged: () => void;
}

/** What a device gives away of its examples by training with noise: counted before the first step. */
export function ownExamples(
  { state, limit, onEvent }: Pick<OwnNoiseMeans, 'state' | 'limit' | 'onEvent'>,
  { round, training }: Assignment,
): OwnExamples {
  let isCharged = false;
  return {
    charge: async (steps) => {
      const epsilon = checkLimit(await state.exampleCharges(), steps, limit);
      await state.noteExampleCharge(round, steps);
      isCharged = true;
      const noiseMultiplier = training.privacy?.noiseMultiplier ?? '0';
      onEvent({
        kind: 'private-examples',
        round,
        steps: steps.count,
        noiseMultiplier,
        epsilon,
        limit: limit?.epsilon ?? null,
      });
    },
    requireCharged: () => {
      if (training.privacy && !isCharged)
        throw refused(
          'PRIVACY_EXAMPLES',
          'the task trains with noise on its examples, and the trainer of this device added none',
        );
    },
  };
}

async function isCounted(state: StateDirectory, round: RoundId, event: PrivacyEvent): Promise<boolean> {
  const [{ task }, text] = [parseRoundId(round), canonicalEvent(event)];
  return (await state.charges()).some(
    (one) => parseRoundId(one.round).task === task && canonicalEvent(one.event) === text,
  );
}

/** A device with a limit relies on noise that it adds itself: it can count no other. */
function checkOwn({ limit }: OwnNoiseMeans, privacy: UserPrivacy | null): void {
  if (limit === null) return;
  if (privacy === null) throw refused('PRIVACY_NONE', 'the round adds no noise, and this device gives nothing without');
  if (privacy.placement === 'central')
    throw refused('PRIVACY_CENTRAL', "the noise would be the coordinator's, and this device relies on its own alone");
}

async function count(
  { state, limit, onEvent }: OwnNoiseMeans,
  round: RoundId,
  event: PrivacyEvent,
  { placement, noiseMultiplier }: UserPrivacy,
): Promise<void> {
  const before = await state.charges();
  // Another update would have noise of its own, and be another release: whoever refuses the first does not get a second.
  if (placement !== 'central' && before.some((charge) => charge.round === round))
    throw refused('PRIVACY_SPENT', 'an update of this device was made for the round before');
  const epsilon = checkLimit(before, { event }, limit);
  onEvent({ kind: 'private', round, placement, noiseMultiplier, epsilon, limit: limit?.epsilon ?? null });
}

type Released = Pick<StepsCharge, 'event'> & Partial<StepsCharge>;

/** What this device would have given away with this round. */
function checkLimit(before: readonly Released[], now: Released, limit: PrivacyLimit | null): number | null {
  if (limit === null) return null;
  const charges = [...before, now].map(({ event, count = 1 }) => ({ event, count }));
  const epsilon = new PrivacyAccount('zero-out', charges).epsilon(limit.delta).value;
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
