/** This client's part in shares mode: one message, with a share for the coordinator and a sealed seed for the second aggregator. */
import {
  encodeShares,
  joinShares,
  openAggregatorKey,
  quantise,
  sharesContextOf,
  sharesLanesOf,
} from '@carapace/aggregation';
import type { Assignment, Judged, Layout, SharesPart, SharesSession } from '@carapace/aggregation';
import { ClientError } from './errors.ts';
import { awaitMessage, floorOf, noteRoster, rosterKeysOf } from './hiding.ts';
import type { Hiding, HidingMeans } from './hiding.ts';
import { ownNoise } from './own-noise.ts';
import { isOtherAggregator, sharedWith } from './protected-task.ts';
import { valuesIn, workOf } from './secure-aggregation.ts';

export class SharedUpdates {
  readonly #means: HidingMeans;

  constructor(means: HidingMeans) {
    this.#means = means;
  }

  /**
   * Agrees to a round and waits for the aggregator's key: nothing is trained for a round whose aggregator is away.
   * @throws ClientError `PROTECTION_REFUSED` when the session asks for less than this device requires, or somebody lies
   */
  async agree(assignment: Assignment, layout: Layout, signal: AbortSignal): Promise<Hiding> {
    const { state, random } = this.#means;
    const part = await this.#join(assignment, layout);
    const { session } = part;
    const key = agreed(
      openAggregatorKey(session, await awaitMessage(this.#means, assignment.round, 'masked-input', signal)),
    );
    const { minimumSurvivors, quantiser, cohort } = session;
    const noise = await ownNoise(this.#means, assignment, layout, {
      clients: cohort.length,
      minimumSurvivors,
      quantiser,
    });
    return {
      ready: null,
      masked: false,
      hide: async (delta, examples) => {
        const format = sharesLanesOf(session);
        const weight = Math.min(examples, quantiser.maxWeight);
        const lanes =
          noise === null
            ? quantise(delta, weight, quantiser, format, random)
            : await noise.lanes(delta, sharesContextOf(session), format);
        return encodeShares(part, key, lanes, state.key, random);
      },
    };
  }

  async #join(assignment: Assignment, layout: Layout): Promise<SharesPart> {
    const { state, membership, calls, call, floor, onEvent } = this.#means;
    const { round } = assignment;
    const invitation = await call(() => calls.invitation(round));
    const part = agreed(
      joinShares(invitation, {
        client: membership.client,
        identity: state.key,
        rosterKeys: rosterKeysOf(membership),
        aggregator: membership.aggregator ?? null,
        floor: await floorOf(floor, state, membership),
        model: assignment.model.weights,
        work: workOf(assignment, layout),
        values: valuesIn(assignment, layout),
      }),
    );
    await this.#checkSame(assignment, part.session);
    await noteRoster(state, membership, invitation.roster);
    const { cohort, aggregator } = part.session;
    onEvent({ kind: 'sharing', round, cohort: cohort.length, aggregator: aggregator.client, trust: part.trust });
    return part;
  }

  /** The session is that of the assignment, and a task keeps its aggregator, also where none is pinned. */
  async #checkSame({ round, task, protection }: Assignment, session: SharesSession): Promise<void> {
    const { state } = this.#means;
    const { client, identity } = session.aggregator;
    if (session.round !== round) throw refused('the session is of another round than the assignment');
    if (protection.kind !== 'shares' || protection.aggregator !== client)
      throw refused(`the session names ${client} as the aggregator, and not the one of the assignment`);
    if (isOtherAggregator(await state.protectionOf(task), identity))
      throw refused(`${client} is not the aggregator that ${task} had before`);
    await state.noteProtected(task, sharedWith(identity));
  }
}

/** @throws ClientError `PROTECTION_REFUSED` */
function agreed<T>(judged: Judged<T>): T {
  if (judged.kind === 'agreed') return judged.value;
  throw refused(`${judged.code}: ${judged.why}`);
}

function refused(why: string): ClientError {
  return new ClientError('PROTECTION_REFUSED', why);
}
