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
  parseBudgetId,
  parseClientId,
  parseDigest,
  parseModelName,
  parseRoundId,
  parseTaskId,
  parseUpdateId,
  randomPart,
  roundIdOf,
} from './ids.ts';
export type { BudgetId, ClientId, Digest, ModelName, RoundId, TaskId, UpdateId } from './ids.ts';
export { defaultPolicies, layoutOf } from './layout.ts';
export type { Layout, Slot, TensorPolicy, TensorSpec } from './layout.ts';
export { parseTask } from './parse-task.ts';
export { DEFAULT_CLIP_RULE, defaultBitDeviation, nextClip, splitNoise } from './privacy/mechanisms/adaptive-clip.ts';
export type { ClipRule } from './privacy/mechanisms/adaptive-clip.ts';
export {
  CentralSum,
  describeCentral,
  nearestIntegers,
  planCentral,
  releaseCentral,
} from './privacy/mechanisms/central.ts';
export { clipping } from './privacy/mechanisms/clip.ts';
export type { Clipping } from './privacy/mechanisms/clip.ts';
export { roundedNormSquared } from './privacy/mechanisms/conditional-rounding.ts';
export { deltaCost, effectiveNoiseMultiplier, hasNoise } from './privacy/mechanisms/description.ts';
export type { DescribedPart, MechanismDescription, NoiseKind } from './privacy/mechanisms/description.ts';
export { addNoiseShare } from './privacy/mechanisms/distributed-client.ts';
export type { RoundParameters } from './privacy/mechanisms/distributed-client.ts';
export { openNoisySum } from './privacy/mechanisms/distributed-server.ts';
export type { NoisySum } from './privacy/mechanisms/distributed-server.ts';
export {
  checkDistributed,
  DEFAULT_BETA,
  describeDistributed,
  laneCountOf,
  planDistributed,
  wrapBound,
} from './privacy/mechanisms/distributed.ts';
export type { ClipBitPlan, DistributedPlan, DistributedSettings } from './privacy/mechanisms/distributed.ts';
export { noisyGradientSum } from './privacy/mechanisms/example-level.ts';
export { bandedStep, describeBanded, EMPTY_BAND, planBanded } from './privacy/mechanisms/ftrl/banded.ts';
export type { BandedPlan, BandedSettings, BandedState, BandedStep } from './privacy/mechanisms/ftrl/banded.ts';
export { toeplitzSquareRoot } from './privacy/mechanisms/ftrl/factorisation.ts';
export type { Participation } from './privacy/mechanisms/ftrl/participation.ts';
export { treeSensitivitySquared } from './privacy/mechanisms/ftrl/tree-sensitivity.ts';
export { describeTree, EMPTY_TREE, planTree, treeStep } from './privacy/mechanisms/ftrl/tree.ts';
export type { OpenNode, TreePlan, TreeSettings, TreeState, TreeStep } from './privacy/mechanisms/ftrl/tree.ts';
export { granularity } from './privacy/mechanisms/granularity.ts';
export type { NoiseVariance, Spread } from './privacy/mechanisms/granularity.ts';
export { integerNorms, l1Bound } from './privacy/mechanisms/integer-norm.ts';
export type { IntegerNorms } from './privacy/mechanisms/integer-norm.ts';
export type { LatticePlan, LatticeSettings } from './privacy/mechanisms/lattice-plan.ts';
export { addLocalNoise, describeLocal, planLocal } from './privacy/mechanisms/local.ts';
export {
  eventOf,
  noisePlan,
  noisyLanes,
  noisyQuantiser,
  openNoisyMean,
  largestCohort,
  planOfTask,
  totalVariationOf,
} from './privacy/user-level.ts';
export type { Hiding, NoisyCohort } from './privacy/user-level.ts';
export {
  CentrallyNoisyMean,
  clearContribution,
  clearNoisePlan,
  isWithinClip,
  latticeEvent,
} from './privacy/clear-noise.ts';
export { stepsCharge } from './privacy/local-steps.ts';
export type { StepsCharge } from './privacy/local-steps.ts';
export { matrixEvent, matrixPlanOf, MatrixNoisySum } from './privacy/matrix-noise.ts';
export { atClip, clipAfter, vectorLength, wholeClip, withClipBit, withoutClipBit } from './privacy/moving-clip.ts';
export type { ClipStep } from './privacy/moving-clip.ts';
export { rateOf, roundChargeOf } from './privacy/round-charge.ts';
export type { TaskCharge, ViewCharge } from './privacy/round-charge.ts';
export { centre, wrap } from './privacy/mechanisms/modulus.ts';
export { rotationSeed, rotationWidth } from './privacy/mechanisms/rotation.ts';
export { PrivacyAccount } from './privacy/account.ts';
export { calibrate } from './privacy/calibrate.ts';
export type { Calibrated, Calibration } from './privacy/calibrate.ts';
export { BUDGET_MODES, epsilonAsDrawn } from './privacy/drawn.ts';
export type { BudgetMode } from './privacy/drawn.ts';
export { canonicalCharges, canonicalEvent } from './privacy/events/canonical.ts';
export { RELATIONS } from './privacy/events/event.ts';
export type { Charge, PrivacyEvent, Relation } from './privacy/events/event.ts';
export { parseCharges, parsePrivacyEvent } from './privacy/events/parse-charges.ts';
export type { Change } from './privacy/planning/changes.ts';
export type { CurvePoint } from './privacy/planning/curve.ts';
export { ladderOf } from './privacy/planning/ladder.ts';
export { PLAN_PARAMETERS, parsePlanQuestion } from './privacy/planning/parse-question.ts';
export type { PlanContext } from './privacy/planning/parse-question.ts';
export { planPrivacy } from './privacy/planning/plan.ts';
export type { BudgetsLeft, PlannedRun, PrivacyPlan } from './privacy/planning/plan.ts';
export type { PlanQuestion, PlanView } from './privacy/planning/question.ts';
export { repeatedRounds } from './privacy/planning/releases.ts';
export type { Releases } from './privacy/planning/releases.ts';
export { PLAN_WARNINGS } from './privacy/planning/warnings.ts';
export type { PlanWarning, PlanWarningCode } from './privacy/planning/warnings.ts';
export { PRIVACY_ENGINE_VERSION, PRIVACY_ENGINES, privacyDelta, privacyEpsilon } from './privacy/query.ts';
export type { PrivacyAnswer, PrivacyEngine, QueryOptions } from './privacy/query.ts';
export { checkReferences } from './privacy/reference/check.ts';
export type { ReferenceResult } from './privacy/reference/check.ts';
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
export {
  audienceOf,
  judgeInput as judgeMaskedInput,
  messageFor,
  openSession,
  serverStep as secaggServerStep,
} from './secagg/server/step.ts';
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
export { encryptInput } from './seal/client/encrypt.ts';
export { joinSeal, openRoundKey } from './seal/client/join.ts';
export type { SealPart, SealStanding } from './seal/client/join.ts';
export { judgeSealInput, maskOfInput, openSealSum, sealInputBytes } from './seal/coordinator/input.ts';
export type { SealSum } from './seal/coordinator/input.ts';
export {
  agreedKey,
  delivery as sealDelivery,
  holderList,
  judgeCommitment,
  judgeConfirmation,
  judgeDeal,
  roundKey,
} from './seal/coordinator/key.ts';
export type { AgreedKey, ByHolder } from './seal/coordinator/key.ts';
export { judgeOpeningShare, openingRequest, openSealedSum } from './seal/coordinator/opening.ts';
export type { ClosedSum } from './seal/coordinator/opening.ts';
export { judgeSoleSum } from './seal/coordinator/sole-sum.ts';
export { commitKey, joinAsHolder } from './seal/holder/commit.ts';
export type { HolderOutcome, HolderStanding } from './seal/holder/commit.ts';
export { confirmKey } from './seal/holder/confirm.ts';
export { dealShares } from './seal/holder/deal.ts';
export { openMaskTally } from './seal/holder/mask-tally.ts';
export type { MaskTally } from './seal/holder/mask-tally.ts';
export { openShare } from './seal/holder/open-share.ts';
export { makeSoleKey, openSole } from './seal/holder/sole.ts';
export { MOST_QUORUMS, takeOpening } from './seal/holder/take-opening.ts';
export type { TakenOpening } from './seal/holder/take-opening.ts';
export { decodeHolder, encodeHolder, forgetHolder } from './seal/holder/state.ts';
export type {
  CommittedHolder,
  DealtHolder,
  ForgottenHolder,
  KeptHolder,
  KeyedHolder,
  LiveHolder,
  OpenedOnce,
  OpeningHolder,
  SoleHolder,
} from './seal/holder/state.ts';
export {
  decodeSealSession,
  encodeSealSession,
  openSealRing,
  sealContextOf,
  sealLanesOf,
  sealParametersOf,
} from './seal/session.ts';
export type { SealArrangement, SealSession } from './seal/session.ts';
export { openSoleKey } from './seal/sole-key.ts';
export type { Contribution, OpeningRequest } from './seal/wire/input.ts';
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
export { matrixOf, NOISE_PLACEMENTS, privacyOf } from './task.ts';
export type {
  AdaptiveClip,
  ClearUpdates,
  Cohort,
  ExamplePrivacy,
  LocalTraining,
  Loss,
  NoiseMatrix,
  NoisePlacement,
  Optimizer,
  ParticipationCap,
  Protection,
  Schedule,
  SecureAggregation,
  Selection,
  SharesAggregation,
  Strategy,
  Task,
  UserPrivacy,
} from './task.ts';
export { workDigest } from './work-digest.ts';
export type { Work } from './work-digest.ts';
export { WeightedSum } from './weighted-sum.ts';
export { PROTOCOL_VERSION } from './wire/assignment.ts';
export type { Assignment, Receipt } from './wire/assignment.ts';
export { openDocument, signDocument } from './wire/signed-document.ts';
export type { SignedDocument } from './wire/signed-document.ts';
