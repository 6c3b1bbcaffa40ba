/** Server half of `clear`: whether the bytes of an upload are an update of this round. What is refused changes nothing. */
import { AggregationError } from '../errors.ts';
import type { UpdateRefusal } from '../errors.ts';
import { allFinite } from '../finite.ts';
import type { Digest, RoundId } from '../ids.ts';
import type { Layout } from '../layout.ts';
import { isWithinClip } from '../privacy/clear-noise.ts';
import type { UserPrivacy } from '../task.ts';
import { decodeClearUpdate } from './update.ts';
import type { ClearUpdate } from './update.ts';

export interface ClearExpectation {
  readonly round: RoundId;
  readonly base: Digest;
  readonly layout: Layout;
  readonly maxExamples: number;
  /** With noise every client weighs the same, nobody's metrics are told, and where the coordinator adds it nothing is longer than the clip. */
  readonly privacy: UserPrivacy | null;
}

export type ClearVerdict =
  | { readonly kind: 'admitted'; readonly update: ClearUpdate }
  | { readonly kind: 'refused'; readonly code: UpdateRefusal; readonly why: string };

export function judgeClearUpdate(bytes: Uint8Array, expected: ClearExpectation): ClearVerdict {
  let update: ClearUpdate;
  try {
    update = decodeClearUpdate(bytes);
  } catch (error) {
    if (error instanceof AggregationError && error.code === 'MESSAGE_INVALID')
      return refused('UPDATE_MALFORMED', error.message);
    throw error;
  }
  return judge(update, expected);
}

function judge(update: ClearUpdate, expected: ClearExpectation): ClearVerdict {
  if (update.round !== expected.round)
    return refused('UPDATE_STALE', `made for ${update.round}, not for ${expected.round}`);
  if (update.base !== expected.base)
    return refused('UPDATE_STALE', 'made from other weights than the round started from');
  if (update.layout !== expected.layout.digest) return refused('UPDATE_SHAPE', 'made for another layout');
  if (update.delta.length !== expected.layout.size) {
    return refused('UPDATE_SHAPE', `${update.delta.length} parameters, not ${expected.layout.size}`);
  }
  if (update.examples < 1 || update.examples > expected.maxExamples) {
    return refused('UPDATE_WEIGHT', `${update.examples} examples, allowed are 1 to ${expected.maxExamples}`);
  }
  if (!allFinite(update.delta)) return refused('UPDATE_NONFINITE', 'the delta holds NaN or an infinity');
  return expected.privacy === null ? { kind: 'admitted', update } : judgePrivate(update, expected.privacy);
}

function judgePrivate(update: ClearUpdate, privacy: UserPrivacy): ClearVerdict {
  if (update.examples !== 1) return refused('UPDATE_WEIGHT', `${update.examples} examples, but with noise all weigh 1`);
  if (Object.keys(update.metrics).length > 0)
    return refused('UPDATE_PROTECTION', 'metrics in the clear, which no noise covers');
  if (!isWithinClip(privacy, update.delta))
    return refused('UPDATE_NORM', `the norm is above the clip of ${privacy.clip}`);
  return { kind: 'admitted', update };
}

function refused(code: UpdateRefusal, why: string): ClearVerdict {
  return { kind: 'refused', code, why };
}
