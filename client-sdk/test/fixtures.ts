/** One client, one coordinator, and what passes between them. */
import {
  parseClientId,
  parseDigest,
  parseModelName,
  parseRoundId,
  parseTaskId,
  parseUpdateId,
} from '@carapace/aggregation';
import type { Assignment, Receipt } from '@carapace/aggregation';
import { generateSigningKey } from '@carapace/crypto';
import type { SigningKey } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import type { PendingUpdate } from '../src/participant.ts';
import type { Membership } from '../src/state/state-directory.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

export const COORDINATOR: SigningKey = generateSigningKey(seededRandom('the coordinator'));

export const MEMBERSHIP: Membership = {
  client: parseClientId(`cl_${LETTERS}`),
  coordinator: 'https://coordinator.example',
  coordinatorKey: COORDINATOR.publicKey,
};

export const ASSIGNMENT: Assignment = {
  protocol: 1,
  task: parseTaskId('mnist'),
  round: parseRoundId('mnist.3').id,
  client: MEMBERSHIP.client,
  model: {
    name: parseModelName('lenet'),
    version: 2,
    weights: parseDigest('11'.repeat(32)),
    topology: parseDigest('22'.repeat(32)),
    tensors: [{ name: 'w', shape: [2, 3], policy: 'mean' }],
  },
  training: {
    epochs: 1,
    batchSize: 32,
    optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0 },
    loss: 'sparse-categorical-crossentropy',
    maxExamples: 1_000,
  },
  protection: { kind: 'clear' },
  issuedAt: 1_800_000_000_000,
  deadline: 1_800_000_060_000,
};

export const UPDATE: PendingUpdate = {
  id: parseUpdateId(`up_${LETTERS}`),
  round: ASSIGNMENT.round,
  digest: parseDigest('33'.repeat(32)),
  bytes: 200,
  masked: false,
};

export const RECEIPT: Receipt = {
  update: UPDATE.id,
  round: UPDATE.round,
  client: MEMBERSHIP.client,
  digest: UPDATE.digest,
  bytes: UPDATE.bytes,
  admittedAt: 1_800_000_030_000,
};
