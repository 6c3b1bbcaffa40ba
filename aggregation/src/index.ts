/** `@carapace/aggregation`: what coordinator and client share: identifiers, documents, messages, and both halves of every protocol. */
export { judgeClearUpdate } from './clear/admission.ts';
export type { ClearExpectation, ClearVerdict } from './clear/admission.ts';
export { clearUpdateLimit, decodeClearUpdate, encodeClearUpdate } from './clear/update.ts';
export type { ClearUpdate, Metrics } from './clear/update.ts';
export { applyDelta, deltaOf } from './delta.ts';
export { DocumentReader } from './document.ts';
export type { Refuse } from './document.ts';
export { AGGREGATION_ERRORS, AggregationError, UPDATE_REFUSALS } from './errors.ts';
export type { AggregationErrorCode, UpdateRefusal } from './errors.ts';
export { allFinite } from './finite.ts';
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
export { parseTask } from './parse-task.ts';
export { parseSafetensors, safetensorsHeader } from './safetensors.ts';
export type { NamedTensor, SafetensorsFile } from './safetensors.ts';
export { serverStep } from './strategies/fedavg.ts';
export type { Cohort, LocalTraining, Loss, Optimizer, Protection, Schedule, Strategy, Task } from './task.ts';
export { WeightedSum } from './weighted-sum.ts';
export { PROTOCOL_VERSION } from './wire/assignment.ts';
export type { Assignment, Receipt } from './wire/assignment.ts';
export { openDocument, signDocument } from './wire/signed-document.ts';
export type { SignedDocument } from './wire/signed-document.ts';
