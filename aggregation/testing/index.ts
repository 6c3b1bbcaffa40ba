/** Test helpers of `@carapace/aggregation`: never imported by source. */
export {
  Coordinator,
  digestOf,
  LOWEST_FLOOR,
  makeWorld,
  Participant,
  plainSum,
  runAggregation,
  standingOf,
} from './secagg.ts';
export type { Lifetime, Person, World } from './secagg.ts';
export {
  addUp,
  aggregatorOf,
  aggregatorStandingOf,
  inputOf,
  makeSharesWorld,
  reloaded,
  runShares,
  sharesStandingOf,
} from './shares.ts';
export type { SharesWorld } from './shares.ts';
export {
  answerOf,
  closedSum,
  committedHolder,
  committeeOf,
  dealtHolders,
  holderStandingOf,
  identityOf,
  makeSealWorld,
  openedBy,
  outboxes,
  sealInputOf,
  sealStandingOf,
} from './seal.ts';
export type { Committee, SealWorld } from './seal.ts';
