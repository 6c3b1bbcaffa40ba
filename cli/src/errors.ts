/** Every error of the command itself: exit code, what it means, what to do. `docs/errors.md` equals this table, by test. */

export const CLI_ERRORS = {
  USAGE_INVALID: [
    2,
    'An option or argument has a value that the command does not take.',
    'The message names the option, the value and what is allowed; `--help` lists them all.',
  ],
  FILE_UNREADABLE: [
    2,
    'A file named on the command line cannot be read, or is not what it should be.',
    'Check the path and the file.',
  ],
  COORDINATOR_UNREACHABLE: [
    3,
    'No coordinator answers at the address.',
    'Start it with `carapace coordinator`, or name another with `--url`.',
  ],
  KEY_MISSING: [
    4,
    'The command needs an API key.',
    'Run it where the data directory is, name a file with `--key-file`, or set CARAPACE_KEY.',
  ],
  RUN_FAILED: [1, 'The run could not be brought to its end.', 'The message tells at what it failed.'],
} as const;

export type CliErrorCode = keyof typeof CLI_ERRORS;

export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;

  constructor(code: CliErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A coordinator's refusal: its problem document as an error. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  readonly code: string;

  constructor(status: number, problem: Readonly<Record<string, unknown>>) {
    super(typeof problem['detail'] === 'string' ? problem['detail'] : `the coordinator answered ${status}`);
    this.status = status;
    this.code = typeof problem['code'] === 'string' ? problem['code'] : `HTTP_${status}`;
  }
}

/** By name, not by class: a quick command must not load every package to tell what went wrong. */
const CODED = new Set([
  'CliError',
  'ProblemError',
  'ClientError',
  'CoordinatorError',
  'AggregationError',
  'CryptoError',
  'SimulationError',
]);
const USAGE = new Set([
  'PRIVACY_EVENT_INVALID',
  'PRIVACY_QUERY_INVALID',
  'PLAN_INVALID',
  'TASK_INVALID',
  'CONFIG_INVALID',
  'JOIN_LINK_INVALID',
  'MODEL_INVALID',
  'REQUEST_INVALID',
]);
const REFUSED = new Set(['CLIENT_REVOKED', 'ENROLMENT_REFUSED', 'COORDINATOR_UNTRUSTED']);

export function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return CLI_ERRORS[error.code][0];
  if (error instanceof ProblemError && (error.status === 401 || error.status === 403)) return 4;
  const code = codeOf(error);
  if (code === null) return 1;
  if (USAGE.has(code)) return 2;
  if (code === 'COORDINATOR_UNREACHABLE') return 3;
  return REFUSED.has(code) ? 4 : 1;
}

export interface Explanation {
  readonly code: string;
  readonly message: string;
}

/** A coded error is told in a line; what nobody foresaw comes with its stack. */
export function explain(error: unknown): Explanation {
  const code = codeOf(error);
  if (code !== null && error instanceof Error)
    return { code, message: error.message.replace(new RegExp(`^${code}: `), '') };
  return { code: 'INTERNAL', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

function codeOf(error: unknown): string | null {
  if (!(error instanceof Error) || !CODED.has(error.name)) return null;
  const { code } = error as Error & { readonly code?: unknown };
  return typeof code === 'string' ? code : null;
}
