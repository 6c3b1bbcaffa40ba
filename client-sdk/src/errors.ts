/** Every error of `@carapace/client-sdk`: `docs/errors.md` equals this table. */
export const CLIENT_ERRORS = {
  MODEL_UNSUPPORTED: 'The model has a layer, loss or optimizer that no engine on this machine can train.',
  DATA_INVALID: 'The data source gave no examples, or examples that do not fit the model.',
  TRAINING_DIVERGED: 'Local training ended in NaN or infinite weights: nothing is sent. Lower the learning rate.',
  JOIN_LINK_INVALID: 'The join link is not `<base URL>/join#cpt1.<id>.<secret>.<pin>`.',
  COORDINATOR_UNTRUSTED:
    'The coordinator does not hold the key that the join link pins: do not go on, ask its operator.',
  ENROLMENT_REFUSED: 'The enrolment token is spent, expired or revoked: ask for a new one.',
  CLIENT_REVOKED: 'The coordinator no longer accepts this client.',
  ASSIGNMENT_INVALID: 'An assignment is not signed by the pinned coordinator, or is not for this client.',
  STATE_LOCKED: 'Another process uses this state directory.',
  STATE_CORRUPT: 'The state directory holds something that this client did not write.',
  COORDINATOR_UNREACHABLE: 'The coordinator did not answer within the time allowed.',
  PROTOCOL_UNSUPPORTED: 'The coordinator speaks another protocol version.',
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
