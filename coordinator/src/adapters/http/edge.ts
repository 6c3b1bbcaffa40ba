/** What the routes are given, and what the server they stand on is. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { CoordinatorApi } from '../../app/api.ts';
import type { Listener } from '../../app/happenings.ts';
import type { Clock, ModelWriter } from '../../ports.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { FailedAttempts } from './failed-attempts.ts';

export interface ServerOptions {
  readonly name: string;
  readonly version: string;
  readonly publicModels: boolean;
  readonly enrolmentsPerMinute: number;
  readonly authenticationFailuresPerMinute: number;
  readonly log: 'silent' | 'error' | 'info';
  /** For tests: nobody needs to wait for minutes to see that a silent connection is closed. */
  readonly limits?: Partial<Limits>;
}

/** How long a connection may take, in milliseconds. */
export interface Limits {
  readonly headersMs: number;
  /** For all of a request, however steadily it comes. */
  readonly requestMs: number;
  /** Without a byte in either direction: longer than the longest poll. */
  readonly idleMs: number;
  /** How often the first two are looked at. */
  readonly checkMs: number;
}

/** What `main.ts` joins to the HTTP edge. */
export interface EdgeParts {
  readonly api: CoordinatorApi;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly emit: Listener;
  readonly modelWriter: ModelWriter | null;
  readonly options: ServerOptions;
}

export interface Edge extends EdgeParts {
  readonly attempts: FailedAttempts;
}

export type Server = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
