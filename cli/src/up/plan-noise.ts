/** The noise of `carapace up --epsilon`: the least that lets all rounds together cost no more than what was asked for. */
import { calibrate, eventOf, noisePlan, thresholdsFor } from '@carapace/aggregation';
import type { Hiding } from '@carapace/aggregation';

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
  /** The noise on all of the mean together, as a multiple of the longest mean that clipped updates can have. */
  readonly noiseToSignal: number;
}

/** @throws AggregationError `PRIVACY_TARGET_UNREACHABLE` or `MECHANISM_MODULUS` */
export function planNoise({
  protection,
  clients,
  rounds,
  parameters,
  epsilon,
  delta,
  clip,
}: NoiseQuestion): PlannedNoise {
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
  const noise = (value * Math.sqrt((parameters * clients) / minimum)) / clients;
  return { noiseMultiplier: String(value), minimum, rounds: count, noiseToSignal: noise };
}
