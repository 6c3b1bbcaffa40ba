/** An assignment is what the pinned coordinator signed for this client, in a protocol that this client speaks; nothing else is. */
import {
  AggregationError,
  DocumentReader,
  openDocument,
  parseDigest,
  parseModelName,
  parseRoundId,
  parseTaskId,
  PROTOCOL_VERSION,
} from '@carapace/aggregation';
import type { Assignment, SignedDocument } from '@carapace/aggregation';
import { DOMAINS } from '@carapace/crypto';
import { ClientError } from './errors.ts';
import type { PendingUpdate } from './participant.ts';
import type { Membership } from './state/state-directory.ts';

/** The longest that a timer of Node waits; a longer one would fire at once. */
const TIMER_LIMIT_MS = 2 ** 31 - 1;

/** @throws ClientError `ASSIGNMENT_INVALID` or `PROTOCOL_UNSUPPORTED` */
export function openAssignment(membership: Membership, document: SignedDocument): Assignment {
  const payload = open(membership, DOMAINS.assignment, document);
  const reader = new DocumentReader(payload, 'assignment', invalid);
  const protocol = reader.number('protocol', { min: 1, max: TIMER_LIMIT_MS, integer: true });
  if (protocol !== PROTOCOL_VERSION) {
    throw new ClientError(
      'PROTOCOL_UNSUPPORTED',
      `the coordinator speaks protocol ${protocol}, this client ${PROTOCOL_VERSION}: update the older one`,
    );
  }
  if (reader.text('client') !== membership.client) throw invalid('it is for another client');
  checkForm(reader);
  return payload as Assignment;
}

/** How long training may take by the coordinator's own two times: this device's clock need not agree with either. */
export function timeAllowedMs({ deadline, issuedAt }: Assignment): number {
  return Math.min(Math.max(1, Math.floor(deadline - issuedAt)), TIMER_LIMIT_MS);
}

/** @throws ClientError `ASSIGNMENT_INVALID` when the receipt is not for this update */
export function checkReceipt(membership: Membership, update: PendingUpdate, document: SignedDocument): void {
  const receipt = new DocumentReader(open(membership, DOMAINS.receipt, document), 'receipt', invalid);
  const same =
    receipt.text('update') === update.id &&
    receipt.text('round') === update.round &&
    receipt.text('digest') === update.digest &&
    receipt.text('client') === membership.client;
  if (!same) throw invalid('the receipt is for another update');
}

/** What is used before training, where an error of form is declined like any other that training meets. */
function checkForm(assignment: DocumentReader): void {
  const instant = { min: 0, max: Number.MAX_SAFE_INTEGER };
  assignment.parsed('task', parseTaskId);
  assignment.parsed('round', parseRoundId);
  assignment.number('issuedAt', instant);
  assignment.number('deadline', instant);
  assignment.object('protection').text('kind');
  assignment.object('training').number('epochs', { ...instant, min: 1, integer: true });
  const model = assignment.object('model');
  model.parsed('name', parseModelName);
  model.parsed('weights', parseDigest);
  model.parsed('topology', parseDigest);
  model.number('version', { ...instant, integer: true });
  model.list('tensors');
}

function open(
  membership: Membership,
  domain: typeof DOMAINS.assignment | typeof DOMAINS.receipt,
  document: SignedDocument,
): unknown {
  try {
    return openDocument(membership.coordinatorKey, domain, document);
  } catch (cause) {
    if (cause instanceof AggregationError || cause instanceof SyntaxError) throw invalid(cause.message, { cause });
    throw cause;
  }
}

function invalid(why: string, options?: ErrorOptions): ClientError {
  return new ClientError('ASSIGNMENT_INVALID', why, options);
}
