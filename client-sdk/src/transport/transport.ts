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
}

export type Transport = (request: Request) => Promise<Response>;

/** Over Node's fetch. Rejects when no answer comes; an answer of any status is an answer. */
export function fetchTransport(coordinator: string): Transport {
  return async ({ method, path, headers = {}, body, signal, timeoutMs }) => {
    const response = await fetch(`${coordinator}${path}`, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': body.contentType }) },
      ...(body === undefined ? {} : { body: body.bytes }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      redirect: 'error',
    });
    return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()) };
  };
}
