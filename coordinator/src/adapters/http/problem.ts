/** Problem details (RFC 9457): every error leaves as one, with a stable code; what is internal stays in the log. */
import { AggregationError } from '@carapace/aggregation';
import { CryptoError } from '@carapace/crypto';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { COORDINATOR_ERRORS, CoordinatorError } from '../../errors.ts';
import type { CoordinatorErrorCode } from '../../errors.ts';

const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: CoordinatorErrorCode;
  readonly detail: string;
  readonly instance: string;
  readonly [member: string]: unknown;
}

export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: unknown): FastifyReply {
  const known = asCoordinatorError(error);
  if (known.code === 'INTERNAL') request.log.error({ err: error }, 'internal error');
  const retryAfterMs = known.members['retryAfterMs'] ?? (known.status === 503 ? 1_000 : undefined);
  if (typeof retryAfterMs === 'number') void reply.header('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  if (known.status === 401) void reply.header('www-authenticate', 'Bearer');
  // What was promised of the answer that did not come does not hold for this one: a cached refusal would outlive its cause.
  for (const name of ['etag', 'accept-ranges', 'content-range', 'content-length']) void reply.removeHeader(name);
  void reply.header('cache-control', 'no-store');
  return reply
    .code(known.status)
    .type(PROBLEM_TYPE)
    .send(JSON.stringify(problemOf(known, request.id, retryAfterMs)));
}

/** What never became a request: the parser refused it, or its headers did not come in time. */
export function answerCrookedRequest(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const known = ofParser(error);
  const body = JSON.stringify(problemOf(known, crypto.randomUUID(), undefined));
  const head = [
    `HTTP/1.1 ${known.status} ${STATUS_CODES[known.status] ?? ''}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function ofParser(error: Error & { readonly code?: string }): CoordinatorError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new CoordinatorError('HEADERS_TOO_LARGE', 'the header fields are larger than 16 KiB', { cause: error });
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new CoordinatorError('REQUEST_TIMEOUT', 'the request did not come in time', { cause: error });
    default:
      return new CoordinatorError('REQUEST_INVALID', 'this is not an HTTP request', { cause: error });
  }
}

function problemOf(error: CoordinatorError, instance: string, retryAfterMs: unknown): Problem {
  const { code, status, message, members } = error;
  const title = COORDINATOR_ERRORS[code][1];
  return {
    type: `urn:carapace:error:${code}`,
    title,
    status,
    code,
    detail: message,
    instance,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...members,
  };
}

/** What documents of operators are refused with has its code here too. */
const KEPT = ['TASK_INVALID', 'PRIVACY_UNPROVED', 'PLAN_INVALID', 'PRIVACY_TARGET_UNREACHABLE'] as const;

/** The one translation from what can be thrown to what may be said. */
function asCoordinatorError(error: unknown): CoordinatorError {
  if (error instanceof CoordinatorError) return error;
  if (error instanceof AggregationError) {
    const code = KEPT.find((kept) => kept === error.code) ?? 'REQUEST_INVALID';
    return new CoordinatorError(code, error.message, { cause: error });
  }
  if (error instanceof CryptoError) return new CoordinatorError('REQUEST_INVALID', error.message, { cause: error });
  return isFastifyError(error)
    ? ofFastify(error)
    : new CoordinatorError('INTERNAL', 'the coordinator failed', { cause: error });
}

function ofFastify(error: FastifyError): CoordinatorError {
  if (error.validation !== undefined) return new CoordinatorError('REQUEST_INVALID', error.message, { cause: error });
  switch (error.statusCode) {
    case 400:
    case 414:
      return new CoordinatorError('REQUEST_INVALID', error.message, { cause: error });
    case 404:
      return new CoordinatorError('NOT_FOUND', 'there is no such route', { cause: error });
    case 408:
    case 503:
      return new CoordinatorError('UNAVAILABLE', 'the request took too long or the coordinator is stopping', {
        cause: error,
      });
    case 413:
      return new CoordinatorError('BODY_TOO_LARGE', 'the body is larger than this route takes', { cause: error });
    case 415:
      return new CoordinatorError('MEDIA_TYPE_UNSUPPORTED', 'this route does not take this content type', {
        cause: error,
      });
    default:
      return new CoordinatorError('INTERNAL', 'the coordinator failed', { cause: error });
  }
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && ('statusCode' in error || 'validation' in error);
}
