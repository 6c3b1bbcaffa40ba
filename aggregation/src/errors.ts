/** Every error that `@carapace/aggregation` throws, by code: what it means, what to do. `docs/errors.md` equals this table. */
export const AGGREGATION_ERRORS = {
  ID_MALFORMED: ['An identifier does not have the form of its kind.', 'Use the form that the message states.'],
  TASK_INVALID: [
    'A task document has an unknown key, a missing one or a value out of range.',
    'The message names the key, what was found and what is allowed; docs/task.md lists every key.',
  ],
  LAYOUT_INVALID: [
    'A model layout is empty, repeats a name or has a shape that is not of positive integers.',
    'Give every tensor a name of its own and a shape of positive integers.',
  ],
  VECTOR_LENGTH: [
    'A parameter vector does not have the length of its layout.',
    'Use the layout the vector was made for.',
  ],
  MESSAGE_INVALID: ['A protocol message does not parse.', 'Encode it as docs/protocol/wire-format.md says.'],
  SIGNATURE_INVALID: [
    'A signed document does not verify under the pinned key.',
    'Do not use the document: it comes from somebody else, or was changed on the way.',
  ],
  AGGREGATE_EMPTY: ['A mean was asked for although nothing was accumulated.', 'Accumulate one update at least.'],
  AGGREGATE_NONFINITE: [
    'A sum of finite updates overflowed to a non-finite value.',
    'Lower the learning rates; look for a client whose updates are huge.',
  ],
  SECAGG_PARAMETERS: [
    'A secure-aggregation session cannot be: threshold rule, cohort, quantiser or lanes do not fit together.',
    'Enlarge the cohort, or lower the resolution or the number of dishonest clients that is borne.',
  ],
  QUANTISE_NONFINITE: ['An update to be quantised holds NaN or an infinity.', 'Lower the learning rate.'],
  QUANTISE_WEIGHT: [
    'A sample weight is not an integer from 1 to the largest weight of the session.',
    'Weigh with the number of examples, at most the largest weight.',
  ],
  QUANTISE_RANGE: ['An integer does not fit its lane.', 'Use the parameters that the vector was quantised with.'],
  MECHANISM_PARAMETERS: [
    'Parameters of a noise mechanism are out of range or do not fit together.',
    'The message names the parameter, what was found and what is allowed.',
  ],
  MECHANISM_MODULUS: [
    'The sum of a cohort, its rounding and its noise do not fit the bits of a lane: too many coordinates would wrap.',
    'Take more bits, a smaller cohort, or a floor of honest survivors nearer to the cohort.',
  ],
  MECHANISM_NONFINITE: [
    'A vector that is to be clipped and noised holds NaN or an infinity.',
    'Lower the learning rate; look at the data.',
  ],
  MECHANISM_NORM: [
    'An integer vector is longer than the sensitivity that its noise was made for.',
    'Use the plan that the vector was scaled for; nothing of the vector was sent.',
  ],
  MECHANISM_RELEASED: [
    'A sum that was released before was to be released, or another sum for the same step.',
    'A further release needs a budget, and noise, of its own.',
  ],
  PRIVACY_UNPROVED: [
    'A task claims more privacy than is proved: how its clients are chosen does not go with its protection, its noise or the neighbours of its budget.',
    'The message says which, and what to take; docs/privacy.md says why.',
  ],
  PRIVACY_EVENT_INVALID: [
    'A privacy event is of an unknown kind, or has an unknown key or a parameter that is not a number in range.',
    'The message names the key, what was found and what is allowed; docs/privacy/accounting.md lists the events.',
  ],
  PRIVACY_EVENT_UNSUPPORTED: [
    'No bound is known for an event under that relation, with that engine. It is refused: to leave it out would understate the loss.',
    'Ask under another relation or with another engine; docs/privacy/accounting.md has the table of what goes together.',
  ],
  PRIVACY_QUERY_INVALID: [
    'An epsilon, a delta, a tolerance or a target of calibration is not a number in range.',
    'The message says what was found and what is allowed.',
  ],
  PRIVACY_TARGET_UNREACHABLE: [
    'No value of the parameter that was to be calibrated meets the target.',
    'Allow a larger epsilon or delta, fewer rounds, more noise or a larger population: the message gives what the best value reaches.',
  ],
  PLAN_INVALID: [
    'A question to the planner has an unknown key, a value out of range, or says too little to be answered.',
    'The message names the key, what was found and what is allowed; docs/privacy/planning.md lists every key.',
  ],
  SAFETENSORS_INVALID: [
    'A safetensors file is malformed or holds tensors other than float32.',
    'Save the model again, with every tensor as float32.',
  ],
} as const;

export type AggregationErrorCode = keyof typeof AGGREGATION_ERRORS;

export class AggregationError extends Error {
  override readonly name = 'AggregationError';
  readonly code: AggregationErrorCode;

  constructor(code: AggregationErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.code = code;
  }
}

/**
 * Why an update was refused. Misbehaviour of a participant is a value, not an exception: it is counted, answered and
 * recorded, and changes no byte of the result.
 */
export const UPDATE_REFUSALS = {
  UPDATE_MALFORMED: ['The update does not parse, or has bytes left over.', 'Update the client.'],
  UPDATE_DIGEST: [
    'The bytes received do not have the digest that was announced.',
    'Announce the SHA-256 of what is sent.',
  ],
  UPDATE_SHAPE: [
    'The update has another number of parameters, or another layout, than the model of its round.',
    'Train the model of the assignment.',
  ],
  UPDATE_NONFINITE: [
    'The update holds NaN or an infinity.',
    'Lower the learning rate; look at the data of the client.',
  ],
  UPDATE_STALE: [
    'The update was made for another round or from another model version.',
    'Start from the weights of the assignment.',
  ],
  UPDATE_WEIGHT: [
    'The number of examples is zero or above the limit of the task.',
    'Count the examples that were trained on; `training.maxExamples` is the limit.',
  ],
  UPDATE_NORM: [
    'The update is longer than the clip of the task, which its noise is made for.',
    'Clip to `protection.privacy.clip` in the L2 norm before it is sent.',
  ],
  UPDATE_PROTECTION: ['The update is protected otherwise than the round demands.', 'Protect as the assignment says.'],
  UPDATE_DUPLICATE: [
    'The client already contributed another update to this round.',
    'One update a round: send the same bytes under the same id again, or nothing.',
  ],
  UPDATE_TOO_LARGE: ['The update is larger than the round allows.', 'Train the model of the assignment.'],
  NOT_IN_COHORT: ['The client was not selected for this round.', 'Send updates for assignments only.'],
  ROUND_NOT_COLLECTING: [
    'The round does not take updates now: it has closed, or was abandoned.',
    'Drop the update and check in for the next round.',
  ],
  CLIENT_REVOKED: ['The client was revoked.', 'Ask the operator; a new token makes a new client.'],
} as const;

export type UpdateRefusal = keyof typeof UPDATE_REFUSALS;

/**
 * Why a party of secure aggregation goes no further with a message, or at all. A client that meets one of these reveals
 * nothing more in its session; a coordinator names the client.
 */
export const SECAGG_REFUSALS = {
  SECAGG_MALFORMED: 'The message does not parse, or has bytes left over.',
  SECAGG_CONTEXT:
    'The message belongs to another session: another task, round, attempt, model, cohort or other parameters.',
  SECAGG_ORDER: 'The message does not belong to this step; nothing changes.',
  SECAGG_DUPLICATE: 'The client already sent another message of this step.',
  SECAGG_MEMBER: 'The message names a client that is not of the cohort, or that is not in the set it should be in.',
  SECAGG_SIGNATURE: 'A signature does not verify under the identity key that the roster gives.',
  SECAGG_KEY: 'A key, or a share of one, is none that may be used, or two clients have the same.',
  SECAGG_ROSTER:
    'The roster is not signed by a pinned key, is older than one seen before, or lacks a member of the cohort.',
  SECAGG_MODEL: 'The session is about another model than the one this client received.',
  SECAGG_POLICY: 'The session asks for less protection than this client requires.',
  SECAGG_COHORT_SMALL: 'Fewer clients are left than the session requires.',
  SECAGG_LENGTH: 'A masked input, or a list of shares, does not have the length of the session.',
  SECAGG_CIPHERTEXT:
    'A ciphertext does not have the length of the session, has a residue out of range, or hides nothing.',
  SECAGG_LANE: 'The opened sum holds integers that no honest inputs sum up to.',
  SECAGG_SHARE_WRONG: 'A share does not open, or is not the one that its dealer committed to.',
  SECAGG_SHARE_MISSING: 'A share or mask seed that the client must hand back is not there.',
  SECAGG_SHARES_INCONSISTENT:
    'The shares that a client dealt do not come from one secret, or not from the one it committed to.',
} as const;

export type SecaggRefusal = keyof typeof SECAGG_REFUSALS;
