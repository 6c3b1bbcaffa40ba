/** Operators' keys: `cak1.<id>.<secret>`, shown once, stored hashed. */
import { DOMAINS } from '@carapace/crypto';
import { CoordinatorError } from '../errors.ts';
import type { ApiKeyRecord, Role } from '../ports.ts';
import type { Actor } from './api.ts';
import type { Context } from './context.ts';
import { formatCredential, hashSecret, newCredential, parseCredential, secretMatches } from './credentials.ts';
import { audit } from './versions.ts';

const KIND = 'cak1';

export async function createApiKey(
  ctx: Context,
  options: { readonly name: string; readonly role: Role },
  actor: Actor,
): Promise<{ readonly record: ApiKeyRecord; readonly key: string }> {
  const credential = newCredential(ctx.random);
  const now = ctx.clock.now();
  const created = {
    id: credential.id,
    name: options.name,
    role: options.role,
    secretHash: hashSecret(DOMAINS.apiKey, credential.secret),
  };
  await ctx.store.transaction('create_api_key', async (records) => {
    await records.insertApiKey(created, now);
    await audit(records, now, actor, 'api-key.create', credential.id, { name: options.name, role: options.role });
  });
  return { record: { ...created, createdAt: now, revokedAt: null }, key: formatCredential(KIND, credential) };
}

export async function authenticateApiKey(ctx: Context, text: string): Promise<ApiKeyRecord | null> {
  const credential = parseCredential(KIND, 3, text);
  const record = credential && (await ctx.store.findApiKey(credential.id));
  if (!record || !secretMatches(DOMAINS.apiKey, credential.secret, record.secretHash)) return null;
  return record.revokedAt === null ? record : null;
}

export async function revokeApiKey(ctx: Context, id: string, actor: Actor): Promise<void> {
  await ctx.store.transaction('revoke_api_key', async (records) => {
    const now = ctx.clock.now();
    const revoked = await records.revokeApiKey(id, now);
    if (!revoked) throw new CoordinatorError('API_KEY_NOT_FOUND', `no active API key has the id ${id}`);
    await audit(records, now, actor, 'api-key.revoke', id);
  });
}
