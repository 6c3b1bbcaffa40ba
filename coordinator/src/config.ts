/** The configuration, parsed once from a document, the environment and flags into a frozen value; `docs/configuration.md` lists it. */
import { DocumentReader } from '@carapace/aggregation';
import { CoordinatorError } from './errors.ts';

export interface Config {
  readonly listen: { readonly host: string; readonly port: number };
  /** Holds the coordinator's key, the blobs, and the database when that is embedded. */
  readonly dataDirectory: string;
  /** PostgreSQL; null embeds one in the data directory. */
  readonly databaseUrl: string | null;
  /** Redis or Valkey for the queue; null uses the database. */
  readonly redisUrl: string | null;
  /** What join links name: set it when clients reach the coordinator by another name than it listens on. */
  readonly publicUrl: string | null;
  /** Whether anyone who reaches the port may read models. */
  readonly publicModels: boolean;
  /** Enrolments allowed per minute and address. */
  readonly enrolmentsPerMinute: number;
  /** Wrong credentials taken per minute from one address, and for one key or token from it, before it has to wait. */
  readonly authenticationFailuresPerMinute: number;
  readonly reconcileSeconds: number;
  readonly log: 'silent' | 'error' | 'info';
}

const ENVIRONMENT: Readonly<Record<string, string>> = {
  CARAPACE_HOST: 'host',
  CARAPACE_PORT: 'port',
  CARAPACE_DATA: 'data',
  CARAPACE_PUBLIC_URL: 'publicUrl',
  CARAPACE_LOG: 'log',
  DATABASE_URL: 'databaseUrl',
  REDIS_URL: 'redisUrl',
};

/**
 * Flags win over the environment, the environment over the document, the document over the defaults.
 * @throws CoordinatorError `CONFIG_INVALID` naming the key, the value and the fix
 */
export function parseConfig(
  document: Readonly<Record<string, unknown>>,
  environment: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, unknown>>,
): Config {
  const reader = new DocumentReader(
    { ...document, ...fromEnvironment(environment), ...present(flags) },
    '',
    (message, options) => {
      return new CoordinatorError('CONFIG_INVALID', message, options);
    },
  );
  const config: Config = Object.freeze({
    listen: Object.freeze({
      host: reader.text('host', '127.0.0.1'),
      port: reader.number('port', { min: 0, max: 65_535, integer: true }, 7878),
    }),
    dataDirectory: reader.text('data', '.carapace'),
    databaseUrl: urlOrNull(reader, 'databaseUrl', ['postgres:', 'postgresql:']),
    redisUrl: urlOrNull(reader, 'redisUrl', ['redis:', 'rediss:']),
    publicUrl: urlOrNull(reader, 'publicUrl', ['http:', 'https:']),
    publicModels: reader.choice('publicModels', ['yes', 'no'], 'yes') === 'yes',
    enrolmentsPerMinute: reader.number('enrolmentsPerMinute', { min: 1, max: 1_000_000, integer: true }, 60),
    authenticationFailuresPerMinute: reader.number(
      'authenticationFailuresPerMinute',
      { min: 1, max: 1_000_000, integer: true },
      60,
    ),
    reconcileSeconds: reader.number('reconcileSeconds', { min: 0.1, max: 3600 }, 2),
    log: reader.choice('log', ['silent', 'error', 'info'], 'error'),
  });
  reader.end();
  return config;
}

function fromEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, unknown> {
  const found = Object.entries(ENVIRONMENT).flatMap(([variable, key]) => {
    const value = environment[variable];
    if (value === undefined || value === '') return [];
    return [[key, key === 'port' ? Number(value) : value]];
  });
  return Object.fromEntries(found) as Record<string, unknown>;
}

function present(flags: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}

function urlOrNull(reader: DocumentReader, key: string, protocols: readonly string[]): string | null {
  const text = reader.textOrNull(key);
  if (text === null) return null;
  if (protocols.includes(URL.parse(text)?.protocol ?? '')) return text;
  throw reader.refuse(
    key,
    `is not a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
  );
}
