/** Every error the coordinator answers or throws, with its HTTP status: `docs/errors.md` equals this table, by test. */
export const COORDINATOR_ERRORS = {
  // requests
  REQUEST_INVALID: [400, 'The request does not have the form that the route documents; the detail names the field.'],
  NOT_FOUND: [404, 'No such route.'],
  METHOD_NOT_ALLOWED: [405, 'The route exists, but not for this method.'],
  BODY_TOO_LARGE: [413, 'The body is larger than the route takes.'],
  MEDIA_TYPE_UNSUPPORTED: [415, 'The route does not take this content type.'],
  RATE_LIMITED: [429, 'Too many requests; wait as long as the answer says.'],
  INTERNAL: [500, 'The coordinator failed; nothing was acknowledged. The log has the cause under the request id.'],
  UNAVAILABLE: [
    503,
    'The coordinator cannot do this now (starting, stopping, or its database does not answer); try again as the answer says.',
  ],
  // who may speak
  AUTHENTICATION_REQUIRED: [401, 'The route needs an API key (`authorization: Bearer …`) or a client signature.'],
  API_KEY_INVALID: [401, 'The API key is unknown, revoked or wrong.'],
  ROLE_INSUFFICIENT: [403, 'The API key has a role that may not do this.'],
  SIGNATURE_INVALID: [401, 'The HTTP message signature is missing, malformed, covers too little, or does not verify.'],
  SIGNATURE_EXPIRED: [
    401,
    'The signature was made too long ago or in the future; the answer tells the coordinator\u2019s time.',
  ],
  CONTENT_DIGEST_MISMATCH: [400, 'The body does not have the digest that was signed.'],
  SEQUENCE_REPLAYED: [
    409,
    'The sequence number was used before: a replay, or a restored client; the answer tells the highest number.',
  ],
  CLIENT_UNKNOWN: [401, 'No active client has this key: not enrolled here, or revoked.'],
  TOKEN_INVALID: [401, 'The enrolment token is unknown, spent, expired or revoked.'],
  // operators
  TASK_NOT_FOUND: [404, 'No task has this name.'],
  TASK_EXISTS: [409, 'The name was used before; task names are never reused.'],
  TASK_INVALID: [400, 'The task document is not valid; the detail names the key and the fix.'],
  TASK_STATE: [409, 'The task is in a state from which this cannot be done.'],
  ROUND_NOT_FOUND: [404, 'No round has this id.'],
  CLIENT_NOT_FOUND: [404, 'No client has this id.'],
  TOKEN_NOT_FOUND: [404, 'No enrolment token has this id, or it is spent or revoked.'],
  API_KEY_NOT_FOUND: [404, 'No API key has this id, or it is revoked already.'],
  MODEL_NOT_FOUND: [404, 'No model has this name.'],
  VERSION_NOT_FOUND: [404, 'The model has no such version or channel.'],
  MODEL_INVALID: [
    400,
    'The uploaded model is not a safetensors file of float32 tensors with a topology, or differs in layout from earlier versions.',
  ],
  // rounds and updates
  ROUND_OVER: [410, 'The round has ended or takes no part of this client any more.'],
  NOT_IN_COHORT: [403, 'The client was not selected for this round.'],
  UPLOAD_OFFSET: [409, 'The chunk does not start where the coordinator is; the answer tells how much it has.'],
  UPDATE_REFUSED: [409, 'The update was refused for good; the member `refusal` names the reason.'],
  BLOB_NOT_FOUND: [404, 'No blob has this digest.'],
  // what the process itself meets
  STORE_LOCKED: [
    500,
    'Another process has the embedded data directory open; stop it, or give this one a directory of its own.',
  ],
  STORE_SCHEMA: [500, 'The database was written by a newer version of Carapace; run that version.'],
  STORE_UNAVAILABLE: [503, 'The database does not answer in time.'],
  BLOB_CORRUPT: [500, 'A blob no longer has the digest it is named by: restore it from a backup.'],
  CONFIG_INVALID: [
    500,
    'The configuration has an unknown key or a value out of range; the message names the key, the value and the fix.',
  ],
} as const;

export type CoordinatorErrorCode = keyof typeof COORDINATOR_ERRORS;

export class CoordinatorError extends Error {
  override readonly name = 'CoordinatorError';
  readonly code: CoordinatorErrorCode;
  /** Further members of the problem document. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(
    code: CoordinatorErrorCode,
    message: string,
    options: ErrorOptions & { readonly members?: Record<string, unknown> } = {},
  ) {
    super(message, options);
    this.code = code;
    this.members = options.members ?? {};
  }

  get status(): number {
    return COORDINATOR_ERRORS[this.code][0];
  }
}
