/** `@carapace/aggregation`: what coordinator and client share: identifiers, documents, messages, and both halves of every protocol. */
export { clearUpdateLimit, decodeClearUpdate, encodeClearUpdate } from './clear/update.ts';
export type { ClearUpdate, Metrics } from './clear/update.ts';
export { AGGREGATION_ERRORS, AggregationError, UPDATE_REFUSALS } from './errors.ts';
export type { AggregationErrorCode, UpdateRefusal } from './errors.ts';
export {
  newClientId,
  newUpdateId,
  parseClientId,
  parseDigest,
  parseModelName,
  parseRoundId,
  parseTaskId,
  parseUpdateId,
  randomPart,
  roundIdOf,
} from './ids.ts';
export type { ClientId, Digest, ModelName, RoundId, TaskId, UpdateId } from './ids.ts';
export { defaultPolicies, layoutOf } from './layout.ts';
export type { Layout, Slot, TensorPolicy, TensorSpec } from './layout.ts';
export type { Cohort, LocalTraining, Loss, Optimizer, Protection, Schedule, Strategy, Task } from './task.ts';
export { PROTOCOL_VERSION } from './wire/assignment.ts';
export type { Assignment, Receipt } from './wire/assignment.ts';
export { openDocument, signDocument } from './wire/signed-document.ts';
export type { SignedDocument } from './wire/signed-document.ts';
