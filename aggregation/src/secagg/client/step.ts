/**
 * The client's half of secure aggregation: `step(state, event) -> { state, effects }`, no I/O, no clock. What the table
 * does not expect changes nothing; what is wrong in an expected message ends the session for this client, and its secrets
 * are gone.
 */
import type { RandomSource, SigningKey } from '@carapace/crypto';
import type { SecaggRefusal } from '../../errors.ts';
import type { RosterTrust } from '../roster.ts';
import { refusalOf } from '../stop.ts';
import type { Refused } from '../stop.ts';
import { advertiseKeys } from './advertise-keys.ts';
import type { Invitation, Standing } from './advertise-keys.ts';
import { signSurvivors } from './consistency.ts';
import { maskInput } from './masked-input.ts';
import { receiveShares } from './receive-shares.ts';
import { shareKeys } from './share-keys.ts';
import type { ClientState } from './state.ts';
import { unmask } from './unmask.ts';

export type ClientEvent =
  | { readonly kind: 'key-list'; readonly message: Uint8Array }
  | { readonly kind: 'share-delivery'; readonly message: Uint8Array }
  /** The quantised update. */
  | { readonly kind: 'input'; readonly lanes: Uint32Array }
  | { readonly kind: 'survivors'; readonly message: Uint8Array }
  | { readonly kind: 'signatures'; readonly message: Uint8Array }
  /** The round is over for a reason outside of the protocol. */
  | { readonly kind: 'abandon'; readonly why: string };

export type ClientEffect =
  | { readonly kind: 'send'; readonly message: Uint8Array }
  /** On whose word the other clients exist: to be shown to the operator of the device. */
  | { readonly kind: 'trust'; readonly trust: RosterTrust }
  | { readonly kind: 'suspect'; readonly member: number; readonly code: SecaggRefusal }
  | { readonly kind: 'ignore'; readonly code: SecaggRefusal; readonly why: string }
  | { readonly kind: 'abort'; readonly code: SecaggRefusal; readonly why: string };

export interface ClientOutcome {
  readonly state: ClientState;
  readonly effects: readonly ClientEffect[];
}

/** What a step may use beside its arguments. */
export interface ClientMeans {
  readonly identity: SigningKey;
  readonly random: RandomSource;
}

/** Step 0: takes part in a session, or is aborted from the start. */
export function joinSession(invitation: Invitation, standing: Standing, random: RandomSource): ClientOutcome {
  return guarded({ phase: 'aborted', code: 'ABANDONED', why: 'never joined' }, () => {
    const { state, trust } = advertiseKeys(invitation, standing, random);
    return { state, effects: [{ kind: 'trust', trust }, send(state.outbox)] };
  });
}

/** @throws AggregationError `VECTOR_LENGTH` or `QUANTISE_RANGE` for an input that is not of the session */
export function clientStep(state: ClientState, event: ClientEvent, means: ClientMeans): ClientOutcome {
  return guarded(state, () => decide(state, event, means));
}

function decide(state: ClientState, event: ClientEvent, means: ClientMeans): ClientOutcome {
  if (event.kind === 'abandon') return abandon(state, event.why);
  if (state.phase === 'advertised' && event.kind === 'key-list') {
    return sending(shareKeys(state, event.message, means.random));
  }
  if (state.phase === 'shared' && event.kind === 'share-delivery') {
    const { state: keyed, suspects } = receiveShares(state, event.message);
    return {
      state: keyed,
      effects: suspects.map((member) => ({ kind: 'suspect', member, code: 'SECAGG_SHARE_WRONG' })),
    };
  }
  if (state.phase === 'keyed' && event.kind === 'input') return sending(maskInput(state, event.lanes, means.random));
  if (state.phase === 'masked' && event.kind === 'survivors') {
    return sending(signSurvivors(state, event.message, means.identity));
  }
  if (state.phase === 'consistent' && event.kind === 'signatures') return sending(unmask(state, event.message));
  return ignore(state, { code: 'SECAGG_ORDER', why: `${event.kind} while ${state.phase}` });
}

function abandon(state: ClientState, why: string): ClientOutcome {
  if (state.phase === 'finished' || state.phase === 'aborted') {
    return ignore(state, { code: 'SECAGG_ORDER', why: `abandon while ${state.phase}` });
  }
  return { state: { phase: 'aborted', code: 'ABANDONED', why }, effects: [] };
}

function guarded(state: ClientState, act: () => ClientOutcome): ClientOutcome {
  try {
    return act();
  } catch (error) {
    const refused = refusalOf(error);
    // A message of another session may be late; it shows nothing about this one.
    if (refused.code === 'SECAGG_CONTEXT') return ignore(state, refused);
    return { state: { phase: 'aborted', ...refused }, effects: [{ kind: 'abort', ...refused }] };
  }
}

function sending(state: ClientState & { readonly outbox: Uint8Array }): ClientOutcome {
  return { state, effects: [send(state.outbox)] };
}

function send(message: Uint8Array): ClientEffect {
  return { kind: 'send', message };
}

function ignore(state: ClientState, refused: Refused): ClientOutcome {
  return { state, effects: [{ kind: 'ignore', ...refused }] };
}
