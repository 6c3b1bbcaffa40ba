/** Step 0 of the client: judge the session, make the secrets of the round, advertise the public halves. */
import { DOMAINS, exchangeKeyFromSecret } from '@carapace/crypto';
import type { RandomSource, SigningKey } from '@carapace/crypto';
import { AggregationError } from '../../errors.ts';
import type { ClientId, Digest } from '../../ids.ts';
import { advertisedText } from '../derivation.ts';
import { judgeSession } from '../floor.ts';
import type { ClientFloor } from '../floor.ts';
import { openPinnedRoster } from '../pinned-roster.ts';
import type { RosterKeys, RosterTrust } from '../roster.ts';
import { contextOf, decodeSession } from '../session.ts';
import type { Session } from '../session.ts';
import { Stop } from '../stop.ts';
import { encodeAdvertisedKeys } from '../wire/advertise-keys.ts';
import type { Advertised } from './state.ts';

/** What the coordinator sends to open a session. */
export interface Invitation {
  readonly session: Uint8Array;
  readonly roster: Uint8Array;
}

/** What the client knows by itself; the model's digests are of the bytes it received, not of what it was told. */
export interface Standing {
  readonly client: ClientId;
  readonly identity: SigningKey;
  readonly rosterKeys: RosterKeys;
  readonly floor: ClientFloor;
  readonly model: Digest;
  readonly work: Digest;
  readonly values: number;
}

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
export function advertiseKeys(
  invitation: Invitation,
  standing: Standing,
  random: RandomSource,
): { state: Advertised; trust: RosterTrust } {
  const session = readSession(invitation.session);
  const trust = judge(session, invitation.roster, standing);
  const member = ownMember(session, standing);
  const secrets = { sealing: random.bytes(32), mask: random.bytes(32), self: random.bytes(32) };
  const keys = {
    member,
    sealingKey: exchangeKeyFromSecret(secrets.sealing).publicKey,
    maskKey: exchangeKeyFromSecret(secrets.mask).publicKey,
  };
  const context = contextOf(session);
  const signature = standing.identity.sign(DOMAINS.secaggKeys, advertisedText(context, keys));
  const outbox = encodeAdvertisedKeys(context, { ...keys, signature });
  return { state: { phase: 'advertised', session, member, secrets, outbox }, trust };
}

function readSession(bytes: Uint8Array): Session {
  try {
    return decodeSession(bytes);
  } catch (error) {
    if (error instanceof AggregationError && error.code === 'SECAGG_PARAMETERS') {
      throw new Stop('SECAGG_POLICY', error.message);
    }
    throw error;
  }
}

function judge(session: Session, rosterBytes: Uint8Array, standing: Standing): RosterTrust {
  const { roster, trust } = openPinnedRoster(rosterBytes, standing.rosterKeys);
  const refused = judgeSession(session, roster, trust, standing.floor);
  if (refused !== undefined) throw new Stop(refused.code, refused.why);
  if (session.model !== standing.model || session.work !== standing.work || session.values !== standing.values) {
    throw new Stop('SECAGG_MODEL', 'the session is about another model than the one received');
  }
  return trust;
}

function ownMember(session: Session, standing: Standing): number {
  const member = session.cohort.findIndex(({ client }) => client === standing.client);
  const identity = session.cohort[member]?.identity;
  if (identity === undefined || identity.join() !== standing.identity.publicKey.join()) {
    throw new Stop('SECAGG_MEMBER', 'this client is not in the cohort under its own key');
  }
  return member;
}
