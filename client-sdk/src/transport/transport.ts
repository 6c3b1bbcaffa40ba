/** A transport is a function; signing, time limits and retries are functions around it, put together in `signed-transport.ts`. */
export interface Request {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** From the base URL on, with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: {
    readonly contentType: 'application/json' | 'application/octet-stream';
    readonly bytes: Uint8Array<ArrayBuffer>;
  };
  readonly signal: AbortSignal;
  /** After this the attempt counts as failed. */
  readonly timeoutMs: number;
}

export interface Response {
  readonly status: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** From the Retry-After header: not before this long. */
  readonly retryAfterMs: number | null;
}

export type Transport = (request: Request) => Promise<Response>;

/** Over Node's fetch. Rejects, saying why and what helps, when no answer comes; an answer of any status is an answer. */
export function fetchTransport(coordinator: string): Transport {
  return async (request) => {
    try {
      return await exchange(coordinator, request);
    } catch (cause) {
      request.signal.throwIfAborted();
      throw new Error(`${coordinator} gave no answer: ${reasonOf(cause, request.timeoutMs)}`, { cause });
    }
  };
}

async function exchange(coordinator: string, request: Request): Promise<Response> {
  const { method, path, headers = {}, body, signal, timeoutMs } = request;
  const response = await fetch(`${coordinator}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': body.contentType }) },
    ...(body === undefined ? {} : { body: body.bytes }),
    // One limit over connecting, headers and body.
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    redirect: 'error',
  });
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), Date.now());
  return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()), retryAfterMs };
}

/** Seconds or a date (RFC 9110, section 10.2.3), as milliseconds from now; null when it is neither. */
export function parseRetryAfter(field: string | null, now: number): number | null {
  if (field === null) return null;
  if (/^\d{1,9}$/.test(field)) return Number(field) * 1000;
  const at = Date.parse(field);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; start the coordinator, or correct the address',
  ENOTFOUND: 'the name has no address; check its spelling and the DNS',
  EAI_AGAIN: 'the name has no address now; check the network and the DNS',
  ENETUNREACH: 'there is no route to it; check the network',
  EHOSTUNREACH: 'there is no route to it; check the network',
  ETIMEDOUT: 'it does not take the connection; check the address and firewalls',
  UND_ERR_CONNECT_TIMEOUT: 'it does not take the connection; check the address and firewalls',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  CERT_HAS_EXPIRED: 'its certificate has expired; renew it',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed; give Node its authority (NODE_EXTRA_CA_CERTS)',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its certificate is of an unknown authority; give Node that authority (NODE_EXTRA_CA_CERTS)',
};

function reasonOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `it was not whole within ${Math.ceil(timeoutMs / 1000)} s`;
  const cause = error.cause instanceof Error ? error.cause : error;
  const code = 'code' in cause ? String(cause.code) : '';
  return REASONS[code] ?? ([cause.message, code].filter((part) => part !== '').join(' ') || error.message);
}
