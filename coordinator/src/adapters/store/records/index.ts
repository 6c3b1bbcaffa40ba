/** All operations on the records, each run on the database it is given. */
import type { Records } from '../../../ports.ts';
import * as audit from './audit.ts';
import * as clients from './clients.ts';
import * as cohort from './cohort.ts';
import * as credentials from './credentials.ts';
import * as ledger from './ledger.ts';
import * as models from './models.ts';
import * as noise from './noise.ts';
import type { Queryable } from './queryable.ts';
import * as rounds from './rounds.ts';
import * as secagg from './secagg.ts';
import * as tasks from './tasks.ts';
import * as updates from './updates.ts';

type Operation = (db: Queryable, ...args: never[]) => Promise<unknown>;
type OperationName = keyof Records;

const OPERATIONS = {
  insertTask: tasks.insertTask,
  findTask: tasks.findTask,
  listTasks: tasks.listTasks,
  setTaskStatus: tasks.setTaskStatus,
  insertRound: rounds.insertRound,
  findRound: rounds.findRound,
  lockRound: rounds.lockRound,
  updateRound: rounds.updateRound,
  listRounds: rounds.listRounds,
  listRunningRounds: rounds.listRunningRounds,
  countRounds: rounds.countRounds,
  appendRoundEvent: rounds.appendRoundEvent,
  listRoundEvents: rounds.listRoundEvents,
  listCandidates: cohort.listCandidates,
  insertParticipants: cohort.insertParticipants,
  listParticipants: cohort.listParticipants,
  findAssignment: cohort.findAssignment,
  listAssignments: cohort.listAssignments,
  tally: cohort.tally,
  setParticipantStatus: cohort.setParticipantStatus,
  dismissParticipants: cohort.dismissParticipants,
  admitUpdates: updates.admitUpdates,
  listAcceptedUpdates: updates.listAcceptedUpdates,
  listUpdateDigests: updates.listUpdateDigests,
  findUpdate: updates.findUpdate,
  listDeposits: updates.listDeposits,
  recordRefusal: updates.recordRefusal,
  insertRoster: secagg.insertRoster,
  findRoster: secagg.findRoster,
  listClientKeys: secagg.listClientKeys,
  insertSession: secagg.insertSession,
  findSession: secagg.findSession,
  fixSurvivors: secagg.fixSurvivors,
  admitProtocolMessage: secagg.admitProtocolMessage,
  listProtocolMessages: secagg.listProtocolMessages,
  insertRoundSecret: secagg.insertRoundSecret,
  findRoundSecret: secagg.findRoundSecret,
  setRoundClip: noise.setRoundClip,
  noteWithinClip: noise.noteWithinClip,
  findClipStep: noise.findClipStep,
  insertNoiseStep: noise.insertNoiseStep,
  findNoiseStep: noise.findNoiseStep,
  listNoiseStates: noise.listNoiseStates,
  listParticipations: noise.listParticipations,
  listStepParticipations: noise.listStepParticipations,
  deleteSession: secagg.deleteSession,
  deleteEndedSessions: secagg.deleteEndedSessions,
  insertClient: clients.insertClient,
  findClient: clients.findClient,
  findClientByKey: clients.findClientByKey,
  listClients: clients.listClients,
  listRevoked: clients.listRevoked,
  revokeClient: clients.revokeClient,
  recordPresence: clients.recordPresence,
  acceptSequences: clients.acceptSequences,
  insertToken: credentials.insertToken,
  listTokens: credentials.listTokens,
  consumeToken: credentials.consumeToken,
  findToken: credentials.findToken,
  revokeToken: credentials.revokeToken,
  insertApiKey: credentials.insertApiKey,
  findApiKey: credentials.findApiKey,
  listApiKeys: credentials.listApiKeys,
  revokeApiKey: credentials.revokeApiKey,
  insertVersion: models.insertVersion,
  findVersion: models.findVersion,
  findChannel: models.findChannel,
  moveChannel: models.moveChannel,
  listModels: models.listModels,
  listVersions: models.listVersions,
  lockLedger: ledger.lockLedger,
  ledgerHead: ledger.ledgerHead,
  insertLedger: ledger.insertLedger,
  listLedger: ledger.listLedger,
  appendAudit: audit.appendAudit,
  listAudit: audit.listAudit,
} satisfies {
  readonly [Name in OperationName]: (db: Queryable, ...args: Parameters<Records[Name]>) => ReturnType<Records[Name]>;
};

/** Operations of several statements that must hold together: outside a transaction they get one of their own. */
const COMPOUND: ReadonlySet<OperationName> = new Set<OperationName>([
  'insertRound',
  'admitUpdates',
  'admitProtocolMessage',
  'revokeClient',
  'acceptSequences',
  'consumeToken',
  'insertVersion',
  'appendAudit',
]);

/** @param run gives an operation what it runs on: a transaction when it is compound, else anything */
export function recordsOn(
  run: <T>(name: string, compound: boolean, body: (db: Queryable) => Promise<T>) => Promise<T>,
): Records {
  const bound = Object.entries(OPERATIONS).map(([name, operation]) => {
    const compound = COMPOUND.has(name as OperationName);
    return [name, (...args: never[]) => run(name, compound, (db) => (operation as Operation)(db, ...args))];
  });
  return Object.fromEntries(bound) as Records;
}
