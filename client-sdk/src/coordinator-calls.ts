/** The coordinator's routes as a client calls them: what goes out is typed, what comes back is checked. */
import { createHash } from 'node:crypto';
import { parseRoundId } from '@carapace/aggregation';
import type { Digest, Invitation, RoundId, SignedDocument } from '@carapace/aggregation';
import { fromBase64url, toBase64url } from '@carapace/crypto';
import { ClientError } from './errors.ts';
import type { PendingUpdate } from './participant.ts';
import { ProblemError } from './transport/problem-error.ts';
import type { Request, Response, Transport } from './transport/transport.ts';

const CALL_MS = 30_000;
const TRANSFER_MS = 600_000;
/** Over a slow link a chunk takes minutes; one that fails is all that is sent again. */
const CHUNK_BYTES = 4 * 1024 * 1024;
/** Members that the coordinator takes in one decline. */
const MOST_NAMED = 1000;

/** Steps of secure aggregation in which a client speaks, and those that begin with something to read. */
export type MessageStep = 'advertise-keys' | 'share-keys' | 'consistency' | 'unmask';
export type ReadStep = 'share-keys' | 'masked-input' | 'consistency' | 'unmask';

export interface Calls {
  enrol(body: { readonly token: string; readonly publicKey: string; readonly name: string }): Promise<SignedDocument>;
  /** The signed assignment, or null when there was nothing to do. */
  checkIn(waitSeconds: number): Promise<SignedDocument | { readonly idleMs: number }>;
  decline(round: RoundId, reason: string): Promise<void>;
  download(digest: Digest): Promise<Uint8Array<ArrayBuffer>>;
  /** The signed receipt. */
  upload(update: PendingUpdate, bytes: Uint8Array<ArrayBuffer>): Promise<SignedDocument>;
  invitation(round: RoundId): Promise<Invitation>;
  sendProtocolMessage(round: RoundId, step: MessageStep, message: Uint8Array): Promise<void>;
  /** The message, or nothing yet. */
  receiveProtocolMessage(
    round: RoundId,
    step: ReadStep,
    waitSeconds: number,
  ): Promise<Uint8Array | { readonly idleMs: number }>;
  /** What waits for this second aggregator. */
  aggregatorWork(waitSeconds: number): Promise<AggregatorWork | { readonly idleMs: number }>;
  /** @param unopened members whose shares do not open */
  declineAggregation(round: RoundId, reason: string, unopened: readonly number[]): Promise<void>;
  uploadSum(round: RoundId, message: Uint8Array<ArrayBuffer>): Promise<void>;
}

export type AggregatorWork =
  | { readonly kind: 'key'; readonly round: RoundId; readonly invitation: Invitation }
  | { readonly kind: 'sum'; readonly round: RoundId; readonly request: Uint8Array };

/** @param send signs, and rejects with {@link ProblemError} on anything but success */
export function coordinatorCalls(send: Transport, signal: AbortSignal): Calls {
  const call = async (request: Omit<Request, 'signal' | 'timeoutMs'>, timeoutMs = CALL_MS): Promise<Response> =>
    send({ ...request, signal, timeoutMs });
  const post = async (path: string, value: unknown, timeoutMs = CALL_MS): Promise<Response> => {
    return call(
      {
        method: 'POST',
        path,
        body: { contentType: 'application/json', bytes: new TextEncoder().encode(JSON.stringify(value)) },
      },
      timeoutMs,
    );
  };
  return {
    enrol: async (body) => readDocument(json(await post('/v1/enrol', body))),
    checkIn: async (waitSeconds) => {
      const answer = json(await post('/v1/client/check-in', { waitSeconds }, waitSeconds * 1000 + CALL_MS));
      if (answer['kind'] === 'assigned') return readDocument(answer['assignment']);
      return { idleMs: idleMsOf(answer) };
    },
    decline: async (round, reason) =>
      void (await post(`/v1/client/assignments/${round}/decline`, { reason: plainText(reason) })),
    download: async (digest) => {
      const { bytes } = await call({ method: 'GET', path: `/v1/client/blobs/${digest}` }, TRANSFER_MS);
      if (createHash('sha256').update(bytes).digest('hex') !== digest)
        throw new Error(`the blob ${digest} came with other bytes`);
      return bytes;
    },
    upload: async ({ round, id, digest }, bytes) => {
      const answer = await sendInChunks(call, `/v1/client/rounds/${round}/updates/${id}`, digest, bytes);
      return readDocument(answer['receipt']);
    },
    invitation: async (round) => {
      const answer = json(await call({ method: 'GET', path: `/v1/client/rounds/${round}/secagg/invitation` }));
      return { session: readBytes(answer['session']), roster: readBytes(answer['roster']) };
    },
    sendProtocolMessage: async (round, step, message) =>
      void (await post(`/v1/client/rounds/${round}/secagg/${step}`, { message: toBase64url(message) })),
    receiveProtocolMessage: async (round, step, waitSeconds) => {
      const path = `/v1/client/rounds/${round}/secagg/${step}?waitSeconds=${waitSeconds}`;
      const answer = json(await call({ method: 'GET', path }, waitSeconds * 1000 + CALL_MS));
      return answer['kind'] === 'message' ? readBytes(answer['message']) : { idleMs: idleMsOf(answer) };
    },
    aggregatorWork: async (waitSeconds) => {
      const path = `/v1/aggregator/work?waitSeconds=${waitSeconds}`;
      return readWork(json(await call({ method: 'GET', path }, waitSeconds * 1000 + CALL_MS)));
    },
    declineAggregation: async (round, reason, unopened) => {
      const named = unopened.slice(0, MOST_NAMED);
      await post(`/v1/aggregator/rounds/${round}/decline`, { reason: plainText(reason), unopened: named });
    },
    uploadSum: async (round, message) => {
      const digest = createHash('sha256').update(message).digest('hex');
      await sendInChunks(call, `/v1/aggregator/rounds/${round}/sum`, digest, message);
    },
  };
}

/** The answer to the last chunk. */
async function sendInChunks(
  call: (request: Omit<Request, 'signal' | 'timeoutMs'>, timeoutMs?: number) => Promise<Response>,
  path: string,
  digest: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Record<string, unknown>> {
  let offset = 0;
  // Every turn of this loop gets further or throws: a chunk, or the coordinator's word on where it is.
  for (;;) {
    const chunk = bytes.slice(offset, offset + CHUNK_BYTES);
    const query = `?offset=${offset}&total=${bytes.length}&digest=${digest}`;
    try {
      const answer = json(
        await call(
          { method: 'PUT', path: `${path}${query}`, body: { contentType: 'application/octet-stream', bytes: chunk } },
          TRANSFER_MS,
        ),
      );
      if (answer['kind'] !== 'partial') return answer;
      offset = checkedOffset(answer['received'], offset, bytes.length);
    } catch (error) {
      if (!(error instanceof ProblemError) || error.code !== 'UPLOAD_OFFSET') throw error;
      offset = checkedOffset(error.members['received'], offset, bytes.length);
    }
  }
}

/** @throws AggregationError `ID_MALFORMED`, ClientError `ASSIGNMENT_INVALID` */
function readWork(answer: Record<string, unknown>): AggregatorWork | { readonly idleMs: number } {
  const { kind } = answer;
  if (kind !== 'key' && kind !== 'sum') return { idleMs: idleMsOf(answer) };
  const round = parseRoundId(String(answer['round'])).id;
  if (kind === 'sum') return { kind, round, request: readBytes(answer['request']) };
  return { kind, round, invitation: { session: readBytes(answer['session']), roster: readBytes(answer['roster']) } };
}

/** Of an error's text, what the coordinator takes: one line without control characters or halves of characters, never empty. */
function plainText(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cs}]+/gu, ' ').trim();
  return [...line].slice(0, 250).join('') || 'no reason given';
}

function idleMsOf(answer: Record<string, unknown>): number {
  const asked = answer['retryAfterMs'];
  return typeof asked === 'number' && asked >= 0 ? Math.min(Math.max(asked, 50), 60_000) : 1_000;
}

function readBytes(value: unknown): Uint8Array {
  if (typeof value === 'string') return fromBase64url(value);
  throw new ClientError('ASSIGNMENT_INVALID', 'the coordinator answered without the bytes that were asked for');
}

function checkedOffset(value: unknown, before: number, total: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < total && value !== before)
    return value;
  throw new Error(`the coordinator says that it has ${String(value)} of ${total} bytes after ${before}`);
}

function json({ bytes }: Response): Record<string, unknown> {
  const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  throw new Error('the coordinator answered something else than an object');
}

function readDocument(value: unknown): SignedDocument {
  const { payload, signature, key } = (value ?? {}) as Record<string, unknown>;
  if (typeof payload === 'string' && typeof signature === 'string' && typeof key === 'string')
    return { payload, signature, key };
  throw new ClientError('ASSIGNMENT_INVALID', 'the coordinator answered without a signed document');
}
