/** What a round moves, in bytes of its longest messages: the few kilobytes of keys, shares and answers of its protocol come on top. */
import type { PlanQuestion } from './question.ts';
import type { PlannedRound } from './round.ts';

export interface Lanes {
  /** Sums are known modulo 2^bits. */
  readonly bits: number;
  /** Width of a lane in the packed words, with the room for the sum. */
  readonly laneBits: number;
  readonly lanesPerWord: number;
  /** Bound on the share of values that wrap when all agree and nobody drops out. */
  readonly wrap: number;
}

export interface Traffic {
  /** Null in the clear, where values travel as floats. */
  readonly lanes: Lanes | null;
  /** An update as long as the clip has this length in integers. */
  readonly unitsPerClip: number;
  /** Of one client in a round it takes part in: weights down, its protected update up. */
  readonly downBytes: number;
  readonly upBytes: number;
  /** Up from all of a cohort. */
  readonly roundUpBytes: number;
}

export function trafficOf({ bits, parameters }: PlanQuestion, round: PlannedRound): Traffic {
  const { noise, selected } = round;
  const { lanes, upBytes } = round.message;
  const { unitsPerClip, wrap } = noise;
  return {
    lanes: lanes && { bits, laneBits: lanes.laneBits, lanesPerWord: lanes.lanesPerWord, wrap },
    unitsPerClip,
    downBytes: 4 * parameters,
    upBytes,
    roundUpBytes: selected * upBytes,
  };
}
