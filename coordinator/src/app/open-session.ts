/** What the cohort of a round, and its second aggregator if it has one, are asked to agree on: made in the transaction that selects the cohort. */
import {
  encodeSession,
  encodeSharesSession,
  layoutOf,
  modeFor,
  noisyQuantiser,
  privacyOf,
  readRoster,
  signRoster,
  thresholdsFor,
  vectorLength,
  workDigest,
} from '@carapace/aggregation';
import type {
  ClientId,
  Member,
  Quantiser,
  SecureAggregation,
  Session,
  SharesAggregation,
  SharesSession,
  Task,
} from '@carapace/aggregation';
import { parsePublicKey } from '@carapace/crypto';
import type { Agreeing } from '../domain/round.ts';
import type { Records, RoundRecord, VersionRecord } from '../ports.ts';
import type { Context } from './context.ts';
import { taskIn } from './round-task.ts';

/** A round is tried once; a further try is another round. */
const ATTEMPT = 1;
/** Of rosters that the coordinator signs itself, for the one cohort: nobody compares their editions. */
const OWN_SERIAL = 1;

export async function openSession(
  ctx: Context,
  records: Records,
  round: RoundRecord,
  state: Agreeing,
  clients: readonly ClientId[],
): Promise<void> {
  const task = taskIn(round, await records.findTask(round.task));
  const base = task && (await records.findVersion(task.model.name, round.baseVersion));
  if (!base) throw new Error(`${round.id} has no task or base version`);
  const cohort = await membersOf(records, clients);
  const roster = (await records.findRoster())?.bytes ?? signRoster(ctx.key, OWN_SERIAL, cohort);
  const terms = {
    ...termsOf(task, base, round),
    roster: readRoster(roster).digest,
    cohort,
    deadline: deadlineOf(state),
  };
  await records.insertSession(round.id, await sessionOf(records, task, terms, state), roster);
}

type Terms = Pick<Session, 'round' | 'attempt' | 'model' | 'work' | 'values' | 'roster' | 'cohort' | 'deadline'>;

function termsOf(
  { training, protection }: Task,
  base: VersionRecord,
  round: RoundRecord,
): Pick<Terms, 'round' | 'attempt' | 'model' | 'work' | 'values'> {
  const layout = layoutOf(base.tensors);
  return {
    round: round.id,
    attempt: ATTEMPT,
    model: base.weights,
    work: workDigest({ layout: layout.digest, topology: base.topology, training, protection }),
    values: vectorLength(privacyOf(protection), layout.size),
  };
}

async function sessionOf(
  records: Records,
  { protection, training }: Task,
  terms: Terms,
  state: Agreeing,
): Promise<Uint8Array> {
  switch (protection.kind) {
    case 'clear':
      throw new Error(`${terms.round} agrees on keys, but its task is in the clear`);
    case 'secagg':
      return encodeSession(maskedSession(protection, training, terms, state));
    case 'shares':
      return encodeSharesSession(await sharedSession(records, protection, training, terms, state));
  }
}

/** The quorum of the round is the session's too: a smaller sum is never opened. */
function maskedSession(
  protection: SecureAggregation,
  { maxExamples }: Task['training'],
  terms: Terms,
  { plan, selected }: Agreeing,
): Session {
  return {
    ...terms,
    ...thresholdsFor(selected),
    minimumSurvivors: plan.minimum,
    quantiser: quantiserOf(protection, maxExamples),
    mode: protection.mode === 'auto' ? modeFor(selected) : protection.mode,
  };
}

async function sharedSession(
  records: Records,
  protection: SharesAggregation,
  { maxExamples }: Task['training'],
  terms: Terms,
  { plan }: Agreeing,
): Promise<SharesSession> {
  const [aggregator] = await membersOf(records, [protection.aggregator]);
  if (aggregator === undefined) throw new Error(`the aggregator ${protection.aggregator} was never enrolled`);
  return { ...terms, quantiser: quantiserOf(protection, maxExamples), minimumSurvivors: plan.minimum, aggregator };
}

/** With noise all clients weigh the same, and lanes are as wide as its modulus. */
function quantiserOf(protection: SecureAggregation | SharesAggregation, maxWeight: number): Quantiser {
  const { clip, bits, privacy } = protection;
  return privacy === null ? { clip, bits, maxWeight } : noisyQuantiser(protection, privacy);
}

async function membersOf(records: Records, clients: readonly ClientId[]): Promise<Member[]> {
  const keys = await records.listClientKeys(clients);
  return keys.map(({ client, publicKey }) => ({ client, identity: parsePublicKey(publicKey) }));
}

function deadlineOf({ startedAt, plan }: Agreeing): number {
  return startedAt + 4 * (plan.protocol?.stepMs ?? 0) + plan.reportMs + plan.graceMs;
}
