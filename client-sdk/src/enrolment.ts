/** From a join link to a membership: the token is spent once, the answer must come from the key that the link pins. */
import { AggregationError, openDocument, parseClientId } from '@carapace/aggregation';
import type { ClientId, SignedDocument } from '@carapace/aggregation';
import { CryptoError, DOMAINS, fingerprint, fromBase64url, parsePublicKey, toBase64url } from '@carapace/crypto';
import type { PublicKey, SigningKey } from '@carapace/crypto';
import type { Calls } from './coordinator-calls.ts';
import { ClientError } from './errors.ts';
import type { JoinLink } from './join-link.ts';
import type { Membership } from './state/state-directory.ts';
import { ProblemError } from './transport/problem-error.ts';

/** @throws ClientError `ENROLMENT_REFUSED` or `COORDINATOR_UNTRUSTED` */
export async function enrol(calls: Calls, key: SigningKey, link: JoinLink, name: string): Promise<Membership> {
  const grant = await ask(calls, key, link, name);
  const coordinatorKey = pinnedKey(grant, link.pin);
  const { client, key: enrolled } = open(grant, coordinatorKey);
  if (enrolled !== fingerprint(key.publicKey)) throw untrusted('the grant is for another key');
  return { client, coordinator: link.coordinator, coordinatorKey };
}

async function ask(calls: Calls, key: SigningKey, link: JoinLink, name: string): Promise<SignedDocument> {
  try {
    return await calls.enrol({ token: link.token, publicKey: toBase64url(key.publicKey), name });
  } catch (cause) {
    if (cause instanceof ProblemError && !cause.isTransient)
      throw new ClientError('ENROLMENT_REFUSED', cause.message, { cause });
    throw cause;
  }
}

/** The key stands inside the very document it signs: what makes it right is the pin, which came another way. */
function pinnedKey(grant: SignedDocument, pin: string): PublicKey {
  try {
    const { coordinatorKey } = (JSON.parse(grant.payload) ?? {}) as Record<string, unknown>;
    const publicKey = parsePublicKey(fromBase64url(String(coordinatorKey)));
    if (fingerprint(publicKey) === pin) return publicKey;
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof CryptoError)) throw cause;
  }
  throw untrusted('whoever answers does not hold the key that the join link pins');
}

function open(grant: SignedDocument, coordinatorKey: PublicKey): { client: ClientId; key: unknown } {
  try {
    const { client, key } = openDocument(coordinatorKey, DOMAINS.enrolment, grant) as Record<string, unknown>;
    return { client: parseClientId(String(client)), key };
  } catch (cause) {
    if (cause instanceof AggregationError) throw untrusted(`its grant does not hold (${cause.message})`, cause);
    throw cause;
  }
}

function untrusted(why: string, cause?: unknown): ClientError {
  return new ClientError('COORDINATOR_UNTRUSTED', `${why}: do not go on, ask the operator`, { cause });
}
