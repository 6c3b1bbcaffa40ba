/** Who speaks: an operator by API key, or a client by an HTTP message signature. Each check throws; what it returns is proven. */
import {
  CryptoError,
  equalBytes,
  fingerprint,
  parseContentDigest,
  parseSignature,
  sha256,
  SIGNATURE_LIFETIME_SECONDS,
  verifyMessage,
} from '@carapace/crypto';
import type { CoveredMessage, ParsedSignature, PublicKey } from '@carapace/crypto';
import type { FastifyRequest } from 'fastify';
import { CoordinatorError } from '../../errors.ts';
import type { ApiKeyRecord, ClientRecord, Clock, Role } from '../../ports.ts';
import type { Edge } from './edge.ts';

/** What a role may do: each also does what those before it do. */
const RANK: Readonly<Record<Role, number>> = { auditor: 0, operator: 1, admin: 2 };

export async function authenticateOperator(
  { api, attempts }: Edge,
  request: FastifyRequest,
  needed: Role,
): Promise<ApiKeyRecord> {
  const key = await attempts.guard(request.ip, claimedApiKey(request), async () => {
    const header = request.headers.authorization;
    if (header === undefined)
      throw new CoordinatorError('AUTHENTICATION_REQUIRED', 'send `authorization: Bearer <API key>`');
    const text = /^Bearer (\S+)$/.exec(header)?.[1];
    const found = text === undefined ? null : await api.authenticateApiKey(text);
    if (found === null) throw new CoordinatorError('API_KEY_INVALID', 'the API key is unknown, revoked or wrong');
    return found;
  });
  if (RANK[key.role] < RANK[needed])
    throw new CoordinatorError('ROLE_INSUFFICIENT', `this needs the role ${needed}, the key has ${key.role}`);
  return key;
}

/**
 * The client that signed this request: form, time, key, signature and (for a body that was read) digest all hold, and its
 * sequence number was never used before. Nothing has a side effect before the last check, which is that number itself.
 */
export async function authenticateClient(
  { api, clock, attempts }: Edge,
  request: FastifyRequest,
  body: Uint8Array | null,
): Promise<ClientRecord> {
  const { client, sequence } = await attempts.guard(request.ip, claimedKeyId(request), async () => {
    const { message, parsed } = readSignature(clock, request, body);
    const found = await api.authenticateClient(parsed.keyId);
    if (found === null) throw unknownClient();
    check(found.publicKey as PublicKey, message, parsed);
    return { client: found, sequence: message.sequence };
  });
  if (sequence !== undefined) {
    const { accepted, highest } = await api.acceptSequence(client.id, sequence);
    if (!accepted)
      throw new CoordinatorError('SEQUENCE_REPLAYED', `the number ${sequence} was used before`, {
        members: { highest: String(highest) },
      });
  }
  return client;
}

export function unknownClient(): CoordinatorError {
  return new CoordinatorError('CLIENT_UNKNOWN', 'no active client has this key: not enrolled here, or revoked');
}

/** Which credential the request claims to hold, before anything of it is believed. */
function claimedApiKey(request: FastifyRequest): string {
  return /^Bearer cak1\.([a-z2-7]{26})\./.exec(request.headers.authorization ?? '')?.[1] ?? '';
}

function claimedKeyId(request: FastifyRequest): string {
  return /;keyid="([A-Za-z0-9_-]{43})"/.exec(String(request.headers['signature-input'] ?? ''))?.[1] ?? '';
}

/** Proof of possession at enrolment: the request is signed by the very key that it brings. */
export function checkPossession(clock: Clock, request: FastifyRequest, body: Uint8Array, publicKey: PublicKey): void {
  const { message, parsed } = readSignature(clock, request, body);
  if (parsed.keyId !== fingerprint(publicKey))
    throw new CoordinatorError('SIGNATURE_INVALID', 'the request is not signed by the key that it enrols');
  check(publicKey, message, parsed);
}

function check(publicKey: PublicKey, message: CoveredMessage, parsed: ParsedSignature): void {
  if (!verifyMessage(publicKey, message, parsed))
    throw new CoordinatorError('SIGNATURE_INVALID', 'the signature does not verify over this request');
}

function readSignature(
  clock: Clock,
  request: FastifyRequest,
  body: Uint8Array | null,
): { message: CoveredMessage; parsed: ParsedSignature } {
  const parsed = parseHeaders(request);
  const now = clock.now() / 1000;
  if (Math.abs(now - parsed.created) > SIGNATURE_LIFETIME_SECONDS || now > parsed.expires) {
    throw new CoordinatorError('SIGNATURE_EXPIRED', 'the signature is not of this minute', {
      members: { time: clock.now() },
    });
  }
  return { message: coveredMessage(request, body), parsed };
}

function parseHeaders(request: FastifyRequest): ParsedSignature {
  const { signature, 'signature-input': input } = request.headers;
  if (typeof signature !== 'string' || typeof input !== 'string') {
    throw new CoordinatorError(
      'AUTHENTICATION_REQUIRED',
      'this route is for clients: sign the request as docs/protocol/client-api.md says',
    );
  }
  try {
    return parseSignature({ signature, 'signature-input': input });
  } catch (cause) {
    if (cause instanceof CryptoError) throw new CoordinatorError('SIGNATURE_INVALID', cause.message, { cause });
    throw cause;
  }
}

function coveredMessage(request: FastifyRequest, body: Uint8Array | null): CoveredMessage {
  const url = request.raw.url ?? '';
  const at = url.indexOf('?');
  const covered = {
    method: request.method,
    authority: request.headers.host ?? '',
    path: at < 0 ? url : url.slice(0, at),
    query: at < 0 ? '?' : url.slice(at),
    ...sequenceOf(request),
  };
  if (request.method === 'GET') return covered;
  const digest = digestHeader(request);
  if (body !== null && !equalBytes(sha256(body), digest.expected)) throw digestMismatch();
  return { ...covered, body: { contentType: request.headers['content-type'] ?? '', contentDigest: digest.field } };
}

/** The digest that a body must have, for those who check it while it streams. */
export function expectedDigest(request: FastifyRequest): Uint8Array {
  return digestHeader(request).expected;
}

export function digestMismatch(): CoordinatorError {
  return new CoordinatorError(
    'CONTENT_DIGEST_MISMATCH',
    'the body does not have the digest that was signed; nothing of it was kept',
  );
}

function digestHeader(request: FastifyRequest): { field: string; expected: Uint8Array } {
  const field = request.headers['content-digest'];
  if (typeof field !== 'string')
    throw new CoordinatorError('SIGNATURE_INVALID', 'the content-digest header is missing');
  try {
    return { field, expected: parseContentDigest(field) };
  } catch (cause) {
    if (cause instanceof CryptoError) throw new CoordinatorError('SIGNATURE_INVALID', cause.message, { cause });
    throw cause;
  }
}

function sequenceOf(request: FastifyRequest): { sequence?: bigint } {
  if (request.method === 'GET') return {};
  const text = request.headers['carapace-sequence'];
  if (typeof text !== 'string' || !/^[1-9][0-9]{0,18}$/.test(text)) {
    throw new CoordinatorError(
      'SIGNATURE_INVALID',
      'the carapace-sequence header is missing or not a positive integer',
    );
  }
  return { sequence: BigInt(text) };
}
