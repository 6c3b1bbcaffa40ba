/** Tokens and enrolment: how a key on somebody's disk becomes a client. */
import { newClientId, signDocument } from '@carapace/aggregation';
import type { ClientId } from '@carapace/aggregation';
import { DOMAINS, fingerprint, toBase64url } from '@carapace/crypto';
import { CoordinatorError } from '../errors.ts';
import type { ClientRecord, TokenRecord } from '../ports.ts';
import type { Actor, Enrolment, EnrolmentGrant, EnrolRequest } from './api.ts';
import type { Context } from './context.ts';
import { formatCredential, hashSecret, newCredential, parseCredential, secretMatches } from './credentials.ts';
import { audit } from './versions.ts';

const KIND = 'cpt1';

export async function createToken(
  ctx: Context,
  options: { readonly site: string; readonly ttlSeconds: number },
  actor: Actor,
): Promise<{ readonly record: TokenRecord; readonly token: string }> {
  const credential = newCredential(ctx.random);
  const now = ctx.clock.now();
  const secretHash = hashSecret(DOMAINS.token, credential.secret);
  const created = {
    id: credential.id,
    secretHash,
    site: options.site,
    expiresAt: now + options.ttlSeconds * 1000,
    createdBy: actor,
  };
  await ctx.store.transaction('create_token', async (records) => {
    await records.insertToken(created, now);
    await audit(records, now, actor, 'token.create', credential.id, {
      site: options.site,
      expiresAt: created.expiresAt,
    });
  });
  const token = formatCredential(KIND, credential, fingerprint(ctx.key.publicKey));
  return { record: { ...created, createdAt: now, usedAt: null, usedBy: null, revokedAt: null }, token };
}

/** Spends the token and inserts the client in one transaction; the same token with the same key answers the same grant again. */
export async function enrol(ctx: Context, request: EnrolRequest): Promise<Enrolment> {
  const credential = parseCredential(KIND, 4, request.token);
  if (credential === null) throw invalidToken();
  const key = fingerprint(request.publicKey);
  const secretHash = hashSecret(DOMAINS.token, credential.secret);
  const now = ctx.clock.now();
  const id = newClientId(ctx.random);
  const client = await ctx.store.transaction('enrol', async (records) => {
    const token = await records.consumeToken(credential.id, secretHash, id, now);
    if (token === null) return null;
    if ((await records.findClientByKey(key)) !== null) throw keyEnrolled();
    await records.insertClient({ id, name: request.name, site: token.site, publicKey: request.publicKey, key }, now);
    await audit(records, now, `client:${id}`, 'client.enrol', id, { token: token.id, site: token.site, key });
    return records.findClient(id);
  });
  const enrolled = client ?? (await findEnrolled(ctx, credential.id, credential.secret, key));
  if (client !== null) ctx.emit({ kind: 'client-enrolled', at: now, client: id, name: client.name, site: client.site });
  return grant(ctx, enrolled);
}

/** The client that this very key became with this very token: a lost answer is asked for again. */
async function findEnrolled(ctx: Context, tokenId: string, secret: Uint8Array, key: string): Promise<ClientRecord> {
  const token = await ctx.store.findToken(tokenId);
  const proven = token !== null && secretMatches(DOMAINS.token, secret, token.secretHash);
  const client: ClientRecord | null = proven && token.usedBy !== null ? await ctx.store.findClient(token.usedBy) : null;
  if (client?.key !== key || client.status !== 'active') throw invalidToken();
  return client;
}

function grant(ctx: Context, client: ClientRecord): Enrolment {
  const content: EnrolmentGrant = {
    client: client.id satisfies ClientId,
    site: client.site,
    key: client.key,
    coordinatorKey: toBase64url(ctx.key.publicKey),
    enrolledAt: client.enrolledAt,
  };
  return signDocument(ctx.key, DOMAINS.enrolment, content);
}

/** The token stays open: the transaction that would have spent it is rolled back. */
function keyEnrolled(): CoordinatorError {
  return new CoordinatorError(
    'KEY_ENROLLED',
    'the key belongs to a client already, active or revoked: enrol a further client with an empty state directory',
  );
}

/** One answer for every way in which a token can be bad. */
function invalidToken(): CoordinatorError {
  return new CoordinatorError(
    'TOKEN_INVALID',
    'the enrolment token is unknown, spent, expired or revoked: ask the operator for a new one',
  );
}
