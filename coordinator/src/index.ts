/** `@carapace/coordinator`: the round machine and the service around it. */
export type { CoordinatorApi } from './app/api.ts';
export type { Happening, Listener } from './app/happenings.ts';
export { readPrivacyLedger } from './app/privacy/audit.ts';
export { parseConfig } from './config.ts';
export type { Config } from './config.ts';
export { ABANDON_REASONS } from './domain/round.ts';
export type { AbandonReason } from './domain/round.ts';
export { COORDINATOR_ERRORS, CoordinatorError } from './errors.ts';
export type { CoordinatorErrorCode } from './errors.ts';
export { startCoordinator, VERSION } from './main.ts';
export type { Extras, Running } from './main.ts';
export type {
  ClientRecord,
  Evaluator,
  LedgerRecord,
  ModelRecord,
  ModelWriter,
  ParticipantRecord,
  RoundEventRecord,
  RoundRecord,
  TaskRecord,
  TokenRecord,
} from './ports.ts';
