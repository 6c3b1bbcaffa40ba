/** The one long message of a client: how its update lies in it, and how long that is. */
import { modeFor, payloadBytes } from '../../secagg/mask-mode.ts';
import { laneCount, laneFormat } from '../../secagg/quantiser.ts';
import type { LaneFormat } from '../../secagg/quantiser.ts';
import { maskedInputLength } from '../../secagg/wire/masked-input.ts';
import { checkedWordCount } from '../../shares/checked-words.ts';
import { shareInputLength } from '../../shares/wire/share-input.ts';
import type { UserPrivacy } from '../../task.ts';
import { noisyQuantiser } from '../user-level.ts';
import type { PlanQuestion } from './question.ts';

export interface UpdateMessage {
  readonly upBytes: number;
  /** Null in the clear, where values travel as floats. */
  readonly lanes: LaneFormat | null;
}

export function clearMessage(parameters: number): UpdateMessage {
  return { upBytes: 4 * parameters, lanes: null };
}

/** @throws AggregationError `SECAGG_PARAMETERS` when lanes or masks do not hold the sum of so many clients */
export function hidingMessage(question: PlanQuestion, privacy: UserPrivacy, clients: number): UpdateMessage {
  const { protection, bits, parameters } = question;
  const lanes = laneFormat(noisyQuantiser({ bits }, privacy), parameters, clients);
  return { lanes, upBytes: protection === 'secagg' ? maskedBytes(question, lanes, clients) : sharedBytes(lanes) };
}

function maskedBytes({ maskMode }: PlanQuestion, lanes: LaneFormat, clients: number): number {
  return maskedInputLength(payloadBytes(maskMode === 'auto' ? modeFor(clients) : maskMode, lanes));
}

/** The coordinator's share; the aggregator's is a seed, in the same message. */
function sharedBytes(lanes: LaneFormat): number {
  const { laneBits, lanesPerWord } = lanes;
  return shareInputLength(8 * checkedWordCount({ count: laneCount(lanes), laneBits, lanesPerWord }));
}
