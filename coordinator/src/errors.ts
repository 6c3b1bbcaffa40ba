/** Every error the coordinator answers or throws, by code: HTTP status, what it means, what to do. `docs/errors.md` equals this table. */
export const COORDINATOR_ERRORS = {
  // requests
  REQUEST_INVALID: [
    400,
    'The request does not have the form that the route documents.',
    'The detail names the field; /docs on the coordinator lists the routes.',
  ],
  NOT_FOUND: [404, 'No such route.', 'Check the path; /docs on the coordinator lists the routes.'],
  METHOD_NOT_ALLOWED: [405, 'The route exists, but not for this method.', 'Use a method that the detail names.'],
  BODY_TOO_LARGE: [413, 'The body is larger than the route takes.', 'Send less, or an update in smaller chunks.'],
  MEDIA_TYPE_UNSUPPORTED: [
    415,
    'The route does not take this content type.',
    'Send the type that the route documents.',
  ],
  HEADERS_TOO_LARGE: [
    431,
    'The header fields of the request are larger than 16 KiB together.',
    'Send fewer or shorter header fields.',
  ],
  REQUEST_TIMEOUT: [408, 'The request did not come whole in the time allowed.', 'Send it again, faster.'],
  RATE_LIMITED: [429, 'Too many requests.', 'Wait as long as the answer says.'],
  INTERNAL: [
    500,
    'The coordinator failed; nothing was acknowledged.',
    'Try again; the log has the cause under the request id that the answer names as `instance`.',
  ],
  UNAVAILABLE: [
    503,
    'The coordinator cannot do this now: it is starting, stopping, or a part of it does not answer.',
    'Try again after the time that the answer says.',
  ],
  // who may speak
  AUTHENTICATION_REQUIRED: [
    401,
    'The route needs an API key or a client signature.',
    'Send `authorization: Bearer <API key>`, or sign as docs/protocol/client-api.md says.',
  ],
  API_KEY_INVALID: [401, 'The API key is unknown, revoked or wrong.', 'Ask an admin for a key.'],
  ROLE_INSUFFICIENT: [
    403,
    'The API key has a role that may not do this.',
    'Use a key of the role that the detail names.',
  ],
  SIGNATURE_INVALID: [
    401,
    'The HTTP message signature is missing, malformed, covers too little, or does not verify.',
    'Sign as docs/protocol/client-api.md says; a proxy must not change host, path or query.',
  ],
  SIGNATURE_EXPIRED: [
    401,
    'The signature was made too long ago or in the future.',
    'Sign again by the coordinator’s time, which the answer tells.',
  ],
  CONTENT_DIGEST_MISMATCH: [
    400,
    'The body does not have the digest that was signed.',
    'Send the body that was signed.',
  ],
  SEQUENCE_REPLAYED: [
    409,
    'The sequence number was used before: a replay, or a restored client.',
    'Go on above the highest number, which the answer tells.',
  ],
  CLIENT_UNKNOWN: [
    401,
    'No active client has this key: not enrolled here, or revoked.',
    'Enrol with a token of this coordinator.',
  ],
  TOKEN_INVALID: [401, 'The enrolment token is unknown, spent, expired or revoked.', 'Ask the operator for a new one.'],
  KEY_ENROLLED: [
    409,
    'The key belongs to a client already, active or revoked.',
    'A further client needs a key of its own: enrol it from an empty state directory.',
  ],
  // operators
  TASK_NOT_FOUND: [404, 'No task has this name.', 'List the tasks.'],
  TASK_EXISTS: [409, 'The name was used before; task names are never reused.', 'Choose another name.'],
  TASK_INVALID: [
    400,
    'The task document is not valid.',
    'The detail names the key, what was found and what is allowed; docs/task.md lists every key.',
  ],
  PRIVACY_UNPROVED: [
    400,
    'The task claims more privacy than is proved: how its clients are chosen does not go with its protection, its noise or the neighbours of its budget.',
    'The detail says which, and what to take; docs/privacy.md says why.',
  ],
  TASK_STATE: [409, 'The task is in a state from which this cannot be done.', 'The detail names the state.'],
  AGGREGATOR_UNKNOWN: [
    409,
    'The second aggregator that the task names is not enrolled here, or was revoked.',
    'Enrol it first (`carapace aggregator --join LINK` prints its id), then name that id in the task.',
  ],
  PLAN_INVALID: [
    400,
    'A question to the planner has an unknown key, a value out of range, or says too little to be answered.',
    'The detail names the key, what was found and what is allowed; docs/privacy/planning.md lists every key.',
  ],
  PRIVACY_TARGET_UNREACHABLE: [
    400,
    'No noise meets the target that the question names.',
    'Ask for a larger epsilon or delta, fewer rounds, more bits, or the other view.',
  ],
  PLAN_TOO_LONG: [
    422,
    'The plan was not done in the time that the coordinator gives one.',
    'Ask for fewer rounds, name a noise multiplier, or run `carapace plan` without `--url`: it takes the time it needs, and knows no budgets.',
  ],
  PLAN_BUSY: [
    503,
    'As many plans as the coordinator takes are being computed or wait to be.',
    'Ask again after the time that the answer says, or run `carapace plan` without `--url`.',
  ],
  BUDGET_NOT_FOUND: [404, 'No privacy budget has this name.', 'Set it: `carapace budget set NAME --epsilon …`.'],
  BUDGET_VIEW: [
    409,
    'The budget is about the coordinator too (view `server`), and nothing in the task protects from it: the noise is its own.',
    'Name budgets of the view `model`, or take noise that is distributed or local.',
  ],
  BUDGET_TERMS: [
    409,
    'The terms of a budget that has been charged cannot be changed like this.',
    'Set a budget of another name, and name it in a new task.',
  ],
  LEDGER_STALE: [
    409,
    'The privacy ledger is behind its mark in the data directory: a backup was restored, or the mark is lost. No round that is charged opens.',
    'Restore the newest database. If what was spent since is lost for good, answer for it: `carapace budget accept-ledger`.',
  ],
  LEDGER_BROKEN: [
    500,
    'The entries of the privacy ledger are no chain: somebody changed them.',
    'Restore the database. Nothing that is charged goes on.',
  ],
  ROUND_NOT_FOUND: [404, 'No round has this id.', 'List the rounds of the task.'],
  CLIENT_NOT_FOUND: [404, 'No client has this id.', 'List the clients.'],
  TOKEN_NOT_FOUND: [404, 'No enrolment token has this id, or it is spent or revoked.', 'List the tokens.'],
  API_KEY_NOT_FOUND: [404, 'No API key has this id, or it is revoked already.', 'List the API keys.'],
  ROSTER_NOT_FOUND: [404, 'No roster of an enrolment authority was published here.', 'Publish one, or go on without.'],
  ROSTER_OLD: [
    409,
    'The roster has a serial that is not above the one in force.',
    'Sign it again with a higher serial.',
  ],
  MODEL_NOT_FOUND: [404, 'No model has this name.', 'List the models.'],
  VERSION_NOT_FOUND: [404, 'The model has no such version or channel.', 'List the versions of the model.'],
  MODEL_FORMAT_MISSING: [
    404,
    'The version has no file of this format: a layer cannot be written in it, or this coordinator was started without its writer.',
    'The detail says which; every version has model.json and model.safetensors.',
  ],
  MODEL_INVALID: [
    400,
    'The uploaded model is not a safetensors file of float32 tensors with a topology, or differs in layout from earlier versions.',
    'Save it as float32 with `topology` in its metadata; publish another layout under another name.',
  ],
  // rounds and updates
  ROUND_OVER: [
    410,
    'The round has ended or takes no part of this client any more.',
    'Drop the update and check in for the next round.',
  ],
  PROTOCOL_REFUSED: [
    409,
    'A message of secure aggregation was refused for good.',
    'The member `refusal` names the reason; docs/protocol/secure-aggregation.md says what each step requires.',
  ],
  PROTOCOL_STEP: [
    409,
    'The round is in another step of its protocol: the message came too late, or too early.',
    'Ask for what the next step sends.',
  ],
  UPLOAD_OFFSET: [
    409,
    'The chunk does not start where the coordinator is.',
    'Go on at `received`, which the answer tells.',
  ],
  UPDATE_REFUSED: [
    409,
    'The update was refused for good.',
    'The member `refusal` names the reason, one of the refusals below.',
  ],
  BLOB_NOT_FOUND: [404, 'No blob has this digest.', 'Use a digest of an assignment or of a published version.'],
  // what the process itself meets
  STORE_LOCKED: [
    500,
    'Another process has the embedded data directory open.',
    'Stop it, or give this one a directory of its own.',
  ],
  STORE_SCHEMA: [
    500,
    'The database has another schema than this version of Carapace knows, or is of another PostgreSQL than the embedded one.',
    'Run the version that wrote it.',
  ],
  STORE_UNAVAILABLE: [
    503,
    'The database or the disk does not answer in time.',
    'Try again; check that the database runs and that the disk has room.',
  ],
  QUEUE_UNAVAILABLE: [
    503,
    'The Redis that `REDIS_URL` names does not answer.',
    'Start it, correct the URL, or leave it out: the queue then lives in the database of the records.',
  ],
  BLOB_CORRUPT: [500, 'A blob no longer has the digest it is named by.', 'Restore it from a backup.'],
  CONFIG_INVALID: [
    500,
    'The configuration has an unknown key or a value out of range.',
    'The message names the key, the value and the fix; docs/configuration.md lists every key.',
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
