/** Every error that `@carapace/aggregation` throws or answers with: `docs/errors.md` equals this table. */
export const AGGREGATION_ERRORS = {
  ID_MALFORMED: 'An identifier does not have the form of its kind.',
  TASK_INVALID:
    'A task document has an unknown key, a missing one or a value out of range; the message names the key and the fix.',
  LAYOUT_INVALID: 'A model layout is empty, repeats a name or has a shape that is not of positive integers.',
  VECTOR_LENGTH: 'A parameter vector does not have the length of its layout.',
  MESSAGE_INVALID: 'A protocol message does not parse.',
  SIGNATURE_INVALID: 'A signed document does not verify under the pinned key.',
  AGGREGATE_EMPTY: 'A mean was asked for although nothing was accumulated.',
  AGGREGATE_NONFINITE: 'A sum of finite updates overflowed to a non-finite value.',
  SAFETENSORS_INVALID: 'A safetensors file is malformed or holds tensors other than float32.',
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
  UPDATE_MALFORMED: 'The update does not parse, or has bytes left over.',
  UPDATE_DIGEST: 'The bytes received do not have the digest that was announced.',
  UPDATE_SHAPE: 'The update has another number of parameters, or another layout, than the model of its round.',
  UPDATE_NONFINITE: 'The update holds NaN or an infinity.',
  UPDATE_STALE: 'The update was made for another round or from another model version.',
  UPDATE_WEIGHT: 'The number of examples is zero, not an integer, or above the limit of the task.',
  UPDATE_PROTECTION: 'The update is protected otherwise than the round demands.',
  UPDATE_DUPLICATE: 'The client already contributed another update to this round.',
  UPDATE_TOO_LARGE: 'The update is larger than the round allows.',
  NOT_IN_COHORT: 'The client was not selected for this round.',
  ROUND_NOT_COLLECTING: 'The round does not take updates now: it has closed, or was abandoned.',
  CLIENT_REVOKED: 'The client was revoked.',
} as const;

export type UpdateRefusal = keyof typeof UPDATE_REFUSALS;
