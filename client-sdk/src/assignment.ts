/** An assignment is what the pinned coordinator signed for this client, in a protocol that this client speaks; nothing else is. */
import { AggregationError, openDocument, parseDigest, parseRoundId, PROTOCOL_VERSION } from '@carapace/aggregation';
import type { Assignment, Receipt, SignedDocument } from '@carapace/aggregation';
import { CryptoError, DOMAINS } from '@carapace/crypto';
import { ClientError } from './errors.ts';
import type { PendingUpdate } from './participant.ts';
import type { Membership } from './state/state-directory.ts';

/** @throws ClientError `ASSIGNMENT_INVALID` or `PROTOCOL_UNSUPPORTED` */
export function openAssignment(membership: Membership, document: SignedDocument): Assignment {
  const assignment = open(membership, DOMAINS.assignment, document) as Omit<Assignment, 'protocol'> & {
    readonly protocol: number;
  };
  if (assignment.protocol !== PROTOCOL_VERSION) {
    throw new ClientError(
      'PROTOCOL_UNSUPPORTED',
      `the coordinator speaks protocol ${assignment.protocol}, this client ${PROTOCOL_VERSION}: update the older one`,
    );
  }
  if (assignment.client !== membership.client) throw invalid('it is for another client');
  parseRoundId(assignment.round);
  parseDigest(assignment.model.weights);
  parseDigest(assignment.model.topology);
  return { ...assignment, protocol: PROTOCOL_VERSION };
}

/** @throws ClientError `ASSIGNMENT_INVALID` when the receipt is not for this update */
export function checkReceipt(membership: Membership, update: PendingUpdate, document: SignedDocument): void {
  const receipt = open(membership, DOMAINS.receipt, document) as Receipt;
  const same =
    receipt.update === update.id &&
    receipt.round === update.round &&
    receipt.digest === update.digest &&
    receipt.client === membership.client;
  if (!same) throw invalid('the receipt is for another update');
}

function open(
  membership: Membership,
  domain: typeof DOMAINS.assignment | typeof DOMAINS.receipt,
  document: SignedDocument,
): unknown {
  try {
    return openDocument(membership.coordinatorKey, domain, document);
  } catch (cause) {
    if (cause instanceof AggregationError || cause instanceof CryptoError || cause instanceof SyntaxError) {
      throw new ClientError('ASSIGNMENT_INVALID', cause.message, { cause });
    }
    throw cause;
  }
}

function invalid(why: string): ClientError {
  return new ClientError('ASSIGNMENT_INVALID', why);
}
