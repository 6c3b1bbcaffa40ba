/** How an update is hidden before it leaves the device: agreed on before training, applied after it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openRoster } from '@carapace/aggregation';
import type { ClientFloor, RosterKeys, RoundId, SharesFloor } from '@carapace/aggregation';
import type { RandomSource } from '@carapace/crypto';
import type { Calls, ReadStep } from './coordinator-calls.ts';
import type { ClientEvent } from './events.ts';
import type { PrivacyLimit } from './policy.ts';
import type { Membership, StateDirectory } from './state/state-directory.ts';

export interface Hiding {
  /** Hidden before a crash: the same bytes again, and nothing is trained twice. */
  readonly ready: Uint8Array | null;
  /** Whether this client is needed once more when the sum is made. */
  readonly masked: boolean;
  /** The bytes to upload. @throws AggregationError `QUANTISE_NONFINITE` */
  hide(delta: Float32Array, examples: number): Promise<Uint8Array>;
}

export interface HidingMeans {
  readonly state: StateDirectory;
  readonly membership: Membership;
  readonly calls: Calls;
  /** Tries a call until it is answered. */
  readonly call: <T>(attempt: () => Promise<T>) => Promise<T>;
  readonly floor: ClientFloor;
  readonly limit: PrivacyLimit | null;
  readonly waitSeconds: number;
  readonly random: RandomSource;
  readonly onEvent: (event: ClientEvent) => void;
}

/** What a step of the round's protocol begins with, as soon as the round is in it. @throws ProblemError */
export async function awaitMessage(
  { calls, call, waitSeconds }: Pick<HidingMeans, 'calls' | 'call' | 'waitSeconds'>,
  round: RoundId,
  step: ReadStep,
  signal: AbortSignal,
): Promise<Uint8Array> {
  for (;;) {
    signal.throwIfAborted();
    const answer = await call(() => calls.receiveProtocolMessage(round, step, waitSeconds));
    if (answer instanceof Uint8Array) return answer;
    await sleep(answer.idleMs, undefined, { signal });
  }
}

export function rosterKeysOf({ coordinatorKey, authority }: Membership): RosterKeys {
  return authority === undefined ? { coordinator: coordinatorKey } : { coordinator: coordinatorKey, authority };
}

/**
 * The floor with what the state directory adds to it: an older edition of the roster than one seen before is not taken, and where an authority
 * is pinned, in this run or an earlier one, the coordinator's own word is not enough.
 */
export async function floorOf<Floor extends SharesFloor>(
  floor: Floor,
  state: StateDirectory,
  { authority }: Membership,
): Promise<Floor> {
  return {
    ...floor,
    acceptCoordinatorRoster: floor.acceptCoordinatorRoster && authority === undefined,
    rosterSerial: Math.max(floor.rosterSerial, await state.rosterSerial()),
  };
}

/** Of a roster that was taken. */
export async function noteRoster(state: StateDirectory, membership: Membership, roster: Uint8Array): Promise<void> {
  if (membership.authority === undefined) return;
  await state.noteRosterSerial(openRoster(roster, rosterKeysOf(membership)).roster.serial);
}
