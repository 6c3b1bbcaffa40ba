/** What the cohort of a round is asked to agree on: made in the transaction that selects the cohort. */
import {
  encodeSession,
  layoutOf,
  modeFor,
  readRoster,
  signRoster,
  thresholdsFor,
  workDigest,
} from '@carapace/aggregation';
import type { ClientId, Member, SecureAggregation, Session, Task } from '@carapace/aggregation';
import { parsePublicKey } from '@carapace/crypto';
import type { Agreeing } from '../../domain/round.ts';
import type { Records, RoundRecord } from '../../ports.ts';
import type { Context } from '../context.ts';

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
  const task = (await records.findTask(round.task))?.task;
  const base = task && (await records.findVersion(task.model.name, round.baseVersion));
  if (!base || task.protection.kind !== 'secagg') throw new Error(`${round.id} has no secure task or base version`);
  const keys = await records.listClientKeys(clients);
  const cohort = keys.map(({ client, publicKey }): Member => ({ client, identity: parsePublicKey(publicKey) }));
  const published = await records.findRoster();
  const roster = published?.bytes ?? signRoster(ctx.key, OWN_SERIAL, cohort);
  const layout = layoutOf(base.tensors);
  const { training, protection } = task;
  const session: Session = {
    ...limitsOf(state),
    ...maskingOf(task, task.protection, cohort.length),
    round: round.id,
    attempt: ATTEMPT,
    model: base.weights,
    work: workDigest({ layout: layout.digest, topology: base.topology, training, protection }),
    values: layout.size,
    roster: readRoster(roster).digest,
    cohort,
  };
  await records.insertSession(round.id, encodeSession(session), roster);
}

/** The quorum of the round is the session's too: a smaller sum is never opened. */
function limitsOf({
  plan,
  selected,
  startedAt,
}: Agreeing): Pick<Session, 'threshold' | 'minimumSurvivors' | 'colluding' | 'deadline'> {
  return {
    ...thresholdsFor(selected),
    minimumSurvivors: plan.minimum,
    deadline: startedAt + 4 * (plan.stepMs ?? 0) + plan.reportMs + plan.graceMs,
  };
}

function maskingOf(
  { training }: Task,
  { clip, bits, mode }: SecureAggregation,
  clients: number,
): Pick<Session, 'quantiser' | 'mode'> {
  return {
    quantiser: { clip, bits, maxWeight: training.maxExamples },
    mode: mode === 'auto' ? modeFor(clients) : mode,
  };
}
