/** Calls to a coordinator's operator routes: one deadline, problems as errors. */
import { CliError, ProblemError } from './errors.ts';
import { readAdminKey, readEndpoint, readTextFile } from './local-files.ts';

const DEADLINE_MS = 30_000;
const DOWNLOAD_DEADLINE_MS = 600_000;

export interface ConnectionOptions {
  readonly url?: string;
  readonly keyFile?: string;
  readonly data: string;
}

export interface OperatorCalls {
  readonly url: string;
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: unknown, deadlineMs?: number): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
  upload<T>(path: string, contentType: string, bytes: Uint8Array<ArrayBuffer>): Promise<T>;
  download(path: string): Promise<Uint8Array<ArrayBuffer>>;
}

export function operatorCalls(
  options: ConnectionOptions,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): OperatorCalls {
  const url = (
    options.url ??
    env['CARAPACE_URL'] ??
    readEndpoint(options.data)?.url ??
    'http://127.0.0.1:7878'
  ).replace(/\/+$/, '');
  const key = keyOf(options, env);
  const call = async (path: string, init: RequestInit, deadlineMs: number): Promise<Response> => {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]);
    const headers = { ...init.headers, ...(key === null ? {} : { authorization: `Bearer ${key}` }) };
    const response = await reach(url, path, { ...init, headers, signal: deadline });
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.code === 'AUTHENTICATION_REQUIRED' && key === null)
      throw new CliError(
        'KEY_MISSING',
        `no API key: set CARAPACE_KEY, name a file with --key-file, or run this where ${options.data} is`,
      );
    throw problem;
  };
  const json = async <T>(method: string, path: string, body?: unknown, deadlineMs = DEADLINE_MS): Promise<T> => {
    const init =
      body === undefined
        ? { method }
        : { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const response = await call(path, init, deadlineMs);
    return (await response.json()) as T;
  };
  return {
    url,
    get: <T>(path: string) => json<T>('GET', path),
    post: <T>(path: string, body?: unknown, deadlineMs?: number) => json<T>('POST', path, body, deadlineMs),
    put: <T>(path: string, body: unknown) => json<T>('PUT', path, body),
    upload: async <T>(path: string, contentType: string, body: Uint8Array<ArrayBuffer>) => {
      const init = { method: 'POST', body, headers: { 'content-type': contentType } };
      return (await (await call(path, init, DOWNLOAD_DEADLINE_MS)).json()) as T;
    },
    download: async (path) => {
      const response = await call(path, { method: 'GET' }, DOWNLOAD_DEADLINE_MS);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

function keyOf({ keyFile, data }: ConnectionOptions, env: Readonly<Record<string, string | undefined>>): string | null {
  if (keyFile === undefined) return env['CARAPACE_KEY'] ?? readAdminKey(data);
  return readTextFile(keyFile).trim();
}

async function reach(url: string, path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(`${url}${path}`, init);
  } catch (cause) {
    const reason =
      cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause);
    throw new CliError(
      'COORDINATOR_UNREACHABLE',
      `no coordinator answers at ${url}: ${reason}. Start one with \`carapace coordinator\`, or name another with --url`,
      { cause },
    );
  }
}

async function problemOf(response: Response): Promise<ProblemError> {
  const body: unknown = await response.json().catch(() => ({}));
  return new ProblemError(response.status, typeof body === 'object' && body !== null ? { ...body } : {});
}
