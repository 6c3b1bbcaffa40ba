/** What the routes of signed calls share: who calls, and bodies that are read only as far as the checks before them allow. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { equalBytes } from '@carapace/crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CoordinatorError } from '../../../errors.ts';
import type { ClientRecord } from '../../../ports.ts';
import { authenticateClient, digestMismatch, unknownClient } from '../authentication.ts';
import type { Edge } from '../edge.ts';
import { PROBLEM } from '../schemas.ts';

/** How long a client that was revoked in the middle of a chunk may go on sending it. */
const RECHECK_MS = 1_000;

const clients = new WeakMap<FastifyRequest, ClientRecord>();
const bodies = new WeakMap<FastifyRequest, Uint8Array>();

/** Keeps the bytes of a JSON body for the check of its digest. */
export function keepBody(request: FastifyRequest, body: Uint8Array): void {
  bodies.set(request, body);
}

export function clientOf(request: FastifyRequest): ClientRecord {
  const client = clients.get(request);
  if (client === undefined) throw new Error('a route without an authenticated client asked who it is');
  return client;
}

/** What every signed route has; its own schema goes on top. */
export interface SignedRoute {
  readonly preValidation: (request: FastifyRequest) => Promise<void>;
  readonly schema: {
    readonly operationId: string;
    readonly tags: string[];
    readonly summary: string;
    readonly security: { readonly client: string[] }[];
    readonly response: { readonly '4xx': typeof PROBLEM; readonly '5xx': typeof PROBLEM };
  };
}

export function signed(edge: Edge, operationId: string, summary: string): SignedRoute {
  return {
    preValidation: async (request: FastifyRequest): Promise<void> => {
      clients.set(request, await authenticateClient(edge, request, jsonBody(request)));
    },
    schema: {
      operationId,
      tags: ['clients’ calls'],
      summary,
      security: [{ client: [] }],
      response: { '4xx': PROBLEM, '5xx': PROBLEM },
    },
  };
}

/** The bytes of a JSON body, to be checked against the digest; null for a body that streams, which is checked as it is read. */
export function jsonBody(request: FastifyRequest): Uint8Array | null {
  const kept = bodies.get(request);
  if (kept !== undefined) return kept;
  const streams = request.headers['content-type'] === 'application/octet-stream';
  if (request.method === 'GET' || streams) return null;
  return new Uint8Array(0);
}

/** The body as it comes; its end throws when it was not what was signed, before anyone takes its bytes for received. */
export async function* verified(body: AsyncIterable<Uint8Array>, expected: Uint8Array): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const piece of body) {
    hash.update(piece);
    yield piece;
  }
  if (!equalBytes(hash.digest(), expected)) throw digestMismatch();
}

/** The body as it comes, as long as it comes from somebody who may still send it. */
export async function* whileActive(
  { api, clock }: Edge,
  client: ClientRecord,
  body: Readable,
): AsyncGenerator<Uint8Array> {
  let checkedAt = clock.now();
  try {
    // The connection outlives a refusal, so that the answer arrives.
    for await (const piece of body.iterator({ destroyOnReturn: false })) {
      if (clock.now() - checkedAt >= RECHECK_MS) {
        checkedAt = clock.now();
        if ((await api.authenticateClient(client.key)) === null) throw unknownClient();
      }
      yield piece as Uint8Array;
    }
  } catch (cause) {
    if (!body.errored) throw cause;
    throw new CoordinatorError('REQUEST_INVALID', 'the connection ended in the middle of the body', { cause });
  }
}

export function goneSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}
