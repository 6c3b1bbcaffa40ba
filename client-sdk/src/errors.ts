/** Every error of `@carapace/client-sdk`, by code: what it means, what to do. `docs/errors.md` equals this table. */
export const CLIENT_ERRORS = {
  MODEL_UNSUPPORTED: [
    'The model has a layer, loss or optimizer that no engine on this machine can train.',
    'The message names it; use a float32 TensorFlow.js layers model.',
  ],
  DATA_INVALID: [
    'The data source gave no examples, or examples that do not fit the model.',
    'Check the data source against the input and output of the model.',
  ],
  TRAINING_DIVERGED: [
    'Local training ended in NaN or infinite weights; nothing was sent.',
    'Lower `training.optimizer.learningRate` of the task; scale the features.',
  ],
  JOIN_LINK_INVALID: [
    'The join link is not `<base URL>/join#cpt1.<id>.<secret>.<pin>`, or there is none on the first run.',
    'Copy the link whole, in quotes.',
  ],
  COORDINATOR_UNTRUSTED: [
    'The coordinator does not hold the key that the join link pins.',
    'Do not go on: ask its operator.',
  ],
  ENROLMENT_REFUSED: [
    'The enrolment token is unknown, spent, expired or revoked, or the request was refused.',
    'Ask for a new token.',
  ],
  CLIENT_REVOKED: [
    'The coordinator no longer accepts this client.',
    'Ask the operator; enrol anew with an empty directory.',
  ],
  ASSIGNMENT_INVALID: [
    'An assignment or receipt is not signed by the pinned coordinator, is not for this client, or does not fit.',
    'Nothing was trained or recorded for it; ask the operator when it stays.',
  ],
  PROTECTION_REFUSED: [
    'A round protects its updates less than this device requires, or a party to its secure aggregation lied.',
    'Nothing more of the update is revealed. The message names the reason; docs/protocol/secure-aggregation.md explains each.',
  ],
  STATE_LOCKED: ['Another process uses this state directory.', 'Stop it, or give this client a directory of its own.'],
  STATE_CORRUPT: [
    'The state directory holds something that this client did not write.',
    'Restore it, or enrol anew with an empty directory.',
  ],
  COORDINATOR_UNREACHABLE: [
    'The coordinator did not answer within the time allowed.',
    'Check its address and that it runs; `unreachableMs` is the time allowed.',
  ],
  PROTOCOL_UNSUPPORTED: ['The coordinator speaks another protocol version.', 'Update the older of the two.'],
} as const;

export type ClientErrorCode = keyof typeof CLIENT_ERRORS;

export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;

  constructor(code: ClientErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.code = code;
  }
}
