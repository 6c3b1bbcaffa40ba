/** `@carapace/aggregation`: what coordinator and client share: identifiers, documents, messages, and both halves of every protocol. */
export { judgeClearUpdate } from './clear/admission.ts';
export type { ClearExpectation, ClearVerdict } from './clear/admission.ts';
export { clearUpdateLimit, decodeClearUpdate, encodeClearUpdate } from './clear/update.ts';
export type { ClearUpdate, Metrics } from './clear/update.ts';
export { applyDelta, deltaOf } from './delta.ts';
export { DocumentReader } from './document.ts';
export type { Refuse } from './document.ts';
export { AGGREGATION_ERRORS, AggregationError, SECAGG_REFUSALS, UPDATE_REFUSALS } from './errors.ts';
export type { AggregationErrorCode, SecaggRefusal, UpdateRefusal } from './errors.ts';
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
export type { Invitation, Standing } from './secagg/client/advertise-keys.ts';
export { decodeClientState, encodeClientState } from './secagg/client/state.ts';
export type { ClientState } from './secagg/client/state.ts';
export { clientStep as secaggClientStep, joinSession } from './secagg/client/step.ts';
export type { ClientEffect, ClientEvent, ClientMeans, ClientOutcome } from './secagg/client/step.ts';
export { DEFAULT_FLOOR } from './secagg/floor.ts';
export type { ClientFloor } from './secagg/floor.ts';
export { dequantise, laneCount, laneFormat, quantise, quantiserError } from './secagg/quantiser.ts';
export type { DequantisedMean, LaneFormat, Quantiser, QuantiserError } from './secagg/quantiser.ts';
export { modeFor, payloadBytes } from './secagg/mask-mode.ts';
export { openRoster, readRoster, signRoster } from './secagg/roster.ts';
export type { Member, Roster, RosterKeys, RosterTrust } from './secagg/roster.ts';
export type { Accusation } from './secagg/server/accusation.ts';
export { decodeServerState, encodeServerState } from './secagg/server/state.ts';
export type { ServerState } from './secagg/server/state.ts';
export { audienceOf, messageFor, openSession, serverStep as secaggServerStep } from './secagg/server/step.ts';
export type { ServerEffect, ServerEvent, ServerOutcome } from './secagg/server/step.ts';
export {
  checkSession,
  contextOf,
  decodeSession,
  encodeSession,
  lanesOf,
  maskedInputBytes,
  maskOf,
} from './secagg/session.ts';
export type { Session } from './secagg/session.ts';
export { decodeMaskedInput } from './secagg/wire/masked-input.ts';
export { MOST_NEIGHBOURS, sparseGraph, sparseGraphAgainstCoordinator } from './secagg/sparse-graph.ts';
export type { SparseGraph, SparseGraphDemand, SparseRule } from './secagg/sparse-graph.ts';
export { checkThresholds, COMPLETE_GRAPH_LIMIT, leastThreshold, thresholdsFor } from './secagg/thresholds.ts';
export type { Thresholds } from './secagg/thresholds.ts';
export { MASK_MODES } from './secagg/vector-mask.ts';
export type { MaskMode, PayloadSum, SignedSeed, VectorMask } from './secagg/vector-mask.ts';
export { wordMask } from './secagg/word-mask.ts';
export { openAggregator, sumShares, takeRequest } from './shares/aggregator.ts';
export type { AggregatorOutcome, AggregatorStanding, TakenRequest } from './shares/aggregator.ts';
export {
  contextOfKept,
  deadlineOfKept,
  decodeAggregation,
  encodeAggregation,
  forgetSecret,
} from './shares/aggregator-state.ts';
export type { AggregatorState, ForgottenAggregation, KeptAggregation } from './shares/aggregator-state.ts';
export { encodeShares, joinShares, openAggregatorKey } from './shares/client.ts';
export type { Judged, SharesPart, SharesStanding } from './shares/client.ts';
export {
  judgeAggregatorKey,
  judgeShareInput,
  judgeShareSum,
  openShares,
  shareInputBytes,
  shareSumBytes,
  sumRequest,
} from './shares/coordinator.ts';
export type { SharesOpening } from './shares/coordinator.ts';
export { AGGREGATION_KEPT_MS, DEFAULT_AGGREGATOR_FLOOR } from './shares/floor.ts';
export type { AggregatorFloor, AggregatorTrust, SharesFloor, SharesTrust } from './shares/floor.ts';
export {
  decodeSharesSession,
  encodeSharesSession,
  isSharesSession,
  sharesContextOf,
  sharesLanesOf,
} from './shares/session.ts';
export type { SharesSession } from './shares/session.ts';
export { decodeDeposit, encodeDeposit } from './shares/wire/deposit.ts';
export type { Deposit } from './shares/wire/share-input.ts';
export { serverStep } from './strategies/fedavg.ts';
export type {
  Cohort,
  LocalTraining,
  Loss,
  Optimizer,
  Protection,
  Schedule,
  SecureAggregation,
  SharesAggregation,
  Strategy,
  Task,
} from './task.ts';
export { workDigest } from './work-digest.ts';
export type { Work } from './work-digest.ts';
export { WeightedSum } from './weighted-sum.ts';
export { PROTOCOL_VERSION } from './wire/assignment.ts';
export type { Assignment, Receipt } from './wire/assignment.ts';
export { openDocument, signDocument } from './wire/signed-document.ts';
export type { SignedDocument } from './wire/signed-document.ts';
