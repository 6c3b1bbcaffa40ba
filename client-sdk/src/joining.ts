/** Becoming a member, and calling as one: the same for clients and second aggregators. */
import { equalBytes } from '@carapace/crypto';
import type { PublicKey, RandomSource } from '@carapace/crypto';
import { coordinatorCalls } from './coordinator-calls.ts';
import type { Calls } from './coordinator-calls.ts';
import { enrol } from './enrolment.ts';
import { ClientError } from './errors.ts';
import type { JoiningEvent } from './events.ts';
import { isExposed, parseJoinLink } from './join-link.ts';
import type { Membership, StateDirectory } from './state/state-directory.ts';
import { ProblemError } from './transport/problem-error.ts';
import { withRetry } from './transport/retry.ts';
import { signedTransport } from './transport/signed-transport.ts';
import { fetchTransport } from './transport/transport.ts';

export interface JoiningOptions {
  /** Needed on the first run; later the membership in the state directory is used. */
  readonly joinLink?: string;
  /** For operators' lists. */
  readonly name: string;
  /** Key of the enrolment authority that signs rosters; pinned for good by the first run that names it. */
  readonly authority?: PublicKey;
  /** Identity of the second aggregator; pinned for good by the first run that names it. */
  readonly aggregator?: PublicKey;
  readonly onEvent: (event: JoiningEvent) => void;
  /** Gives up when the coordinator does not answer for this long; null never does. */
  readonly unreachableMs: number | null;
  readonly random: RandomSource;
}

/** What ends a member for good. */
const FATAL = new Set(['CLIENT_UNKNOWN', 'SIGNATURE_INVALID']);

/** @throws ClientError `JOIN_LINK_INVALID`, `ENROLMENT_REFUSED` or `COORDINATOR_UNTRUSTED` */
export async function join(options: JoiningOptions, state: StateDirectory, signal: AbortSignal): Promise<Membership> {
  const { joinLink, name, onEvent } = options;
  const known = await state.membership();
  const link = joinLink === undefined ? null : parseJoinLink(joinLink);
  const coordinator = link?.coordinator ?? known?.coordinator;
  if (coordinator === undefined)
    throw new ClientError('JOIN_LINK_INVALID', 'this client has not joined yet: give it a join link');
  if (isExposed(coordinator)) onEvent({ kind: 'exposed', coordinator });
  // Who already joined keeps the identity; the link may tell a new address of the same coordinator.
  if (known !== null) return pinned(options, state, { ...known, coordinator });
  if (link === null) throw new ClientError('JOIN_LINK_INVALID', 'a join link is needed on the first run');
  const calls = callsOf(options, state, coordinator, signal);
  const membership = await retried(options, signal, () => enrol(calls, state.key, link, name));
  await state.join(membership);
  onEvent({ kind: 'enrolled', client: membership.client, coordinator });
  return pinned(options, state, membership);
}

export function callsOf(
  { random }: JoiningOptions,
  state: StateDirectory,
  coordinator: string,
  signal: AbortSignal,
): Calls {
  const signer = {
    key: state.key,
    random,
    now: () => Date.now(),
    nextSequence: () => state.nextSequence(),
    skipSequenceTo: (highest: bigint) => state.skipSequenceTo(highest),
  };
  return coordinatorCalls(signedTransport(fetchTransport(coordinator), coordinator, signer), signal);
}

export function retried<T>(
  { random, onEvent, unreachableMs }: JoiningOptions,
  signal: AbortSignal,
  attempt: () => Promise<T>,
): Promise<T> {
  return withRetry(
    {
      random,
      signal,
      deadlineMs: unreachableMs,
      onRetry: (inMs, reason) => onEvent({ kind: 'retrying', inMs, reason }),
    },
    attempt,
  );
}

export function isFatal(error: unknown): boolean {
  return (
    error instanceof ClientError && ['CLIENT_REVOKED', 'COORDINATOR_UNREACHABLE', 'STATE_CORRUPT'].includes(error.code)
  );
}

export function fatal(error: unknown): unknown {
  if (!(error instanceof ProblemError) || !FATAL.has(error.code)) return error;
  const why =
    error.code === 'CLIENT_UNKNOWN'
      ? 'the coordinator no longer accepts this client'
      : 'the coordinator does not accept this client’s signatures; a proxy between them must leave host and path as they are';
  return new ClientError('CLIENT_REVOKED', why, { cause: error });
}

/** What was once pinned stays so without being named again. @throws ClientError `COORDINATOR_UNTRUSTED` for another one */
async function pinned(
  { authority, aggregator }: JoiningOptions,
  state: StateDirectory,
  membership: Membership,
): Promise<Membership> {
  checkPin('enrolment authority', membership.authority, authority);
  checkPin('aggregator', membership.aggregator, aggregator);
  const isNew =
    (authority !== undefined && membership.authority === undefined) ||
    (aggregator !== undefined && membership.aggregator === undefined);
  const now = { ...membership, ...(authority && { authority }), ...(aggregator && { aggregator }) };
  if (isNew) await state.join(now);
  return now;
}

function checkPin(what: string, before: PublicKey | undefined, now: PublicKey | undefined): void {
  if (before !== undefined && now !== undefined && !equalBytes(before, now))
    throw new ClientError('COORDINATOR_UNTRUSTED', `this state directory pins another ${what}`);
}
