/** The noise of `carapace up --epsilon`: the least that lets all rounds together cost no more than what was asked for. */
import { AggregationError, calibrate, eventOf, noisePlan, thresholdsFor } from '@carapace/aggregation';
import type { Hiding } from '@carapace/aggregation';
import { CliError } from '../errors.ts';

const BITS = 16;
/** A run without an end gets this many rounds; then its budget stops it. */
const OPEN_ROUNDS = 20;

export interface NoiseQuestion {
  readonly protection: Hiding['kind'];
  readonly clients: number;
  readonly rounds: number | null;
  /** Values of an update. */
  readonly parameters: number;
  readonly epsilon: number;
  readonly delta: number;
  readonly clip: number;
}

export interface PlannedNoise {
  /** Decimal. */
  readonly noiseMultiplier: string;
  /** Survivors that a round needs: their noise alone is enough. */
  readonly minimum: number;
  readonly rounds: number;
  /** The noise of all rounds together, as a multiple of the farthest that clipped updates could move the model in them. */
  readonly noiseToSignal: number;
  /** With so many clients in every round the two would be level. */
  readonly levelClients: number;
}

/** @throws CliError `USAGE_INVALID` when no noise that lanes have room for keeps the promise */
export function planNoise(question: NoiseQuestion): PlannedNoise {
  try {
    return leastNoise(question);
  } catch (cause) {
    if (!(cause instanceof AggregationError) || !OUT_OF_REACH.has(cause.code)) throw cause;
    const { epsilon, clients, rounds } = question;
    const count = rounds ?? OPEN_ROUNDS;
    throw new CliError(
      'USAGE_INVALID',
      `--epsilon ${epsilon} needs more noise for ${count} ${count === 1 ? 'round' : 'rounds'} of ${clients} clients than ${BITS} bits of a lane hold: raise --epsilon${count === 1 ? '' : ', or train fewer --rounds'}`,
      { cause },
    );
  }
}

const OUT_OF_REACH: ReadonlySet<string> = new Set(['MECHANISM_MODULUS', 'PRIVACY_TARGET_UNREACHABLE']);

function leastNoise({ protection, clients, rounds, parameters, epsilon, delta, clip }: NoiseQuestion): PlannedNoise {
  const count = rounds ?? OPEN_ROUNDS;
  const minimum = protection === 'secagg' ? thresholdsFor(clients).minimumSurvivors : Math.ceil(clients / 2);
  const eventAt = (noiseMultiplier: number): ReturnType<typeof eventOf> =>
    eventOf(
      noisePlan(
        { bits: BITS },
        {
          placement: 'distributed',
          noise: 'skellam',
          noiseMultiplier: String(noiseMultiplier),
          clip,
          colluding: 0,
          budgets: [],
        },
        { clients, minimumSurvivors: minimum },
        parameters,
      ),
    );
  const { value } = calibrate({
    epsilon,
    delta,
    relation: 'zero-out',
    chargesAt: (noiseMultiplier) => [{ event: eventAt(noiseMultiplier), count }],
    protects: 'more',
    low: 0.05,
    high: 1_000,
  });
  // Noise of rounds adds up as its root does, updates may all point one way: as the multiplier grows with the root too, rounds do not matter.
  const noise = (value * Math.sqrt((parameters * clients) / minimum)) / clients / Math.sqrt(count);
  return {
    noiseMultiplier: String(value),
    minimum,
    rounds: count,
    noiseToSignal: noise,
    levelClients: Math.ceil(noise * clients),
  };
}
