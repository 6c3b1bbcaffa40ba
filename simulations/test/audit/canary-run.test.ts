/**
 * A thousand canaries through the mechanisms of production, and what an attack on the released mean says of epsilon. With the noise that is
 * claimed it is never above the claim; mutants with less noise than they claim are caught.
 */
import { eventOf, latticeEvent, noisePlan, planCentral, privacyEpsilon } from '@carapace/aggregation';
import type { PrivacyEvent } from '@carapace/aggregation';
import { parseRational } from '@carapace/crypto';
import {
  epsilonLowerBound,
  inferMembership,
  LANE_BITS,
  openCohortMean,
  runCanaries,
  seededRandom,
} from '@carapace/simulations';
import { describe, expect, test } from 'vitest';

const CANARIES = 1000;
const CLIP = 0.5;
const CLAIMED = '3';
/** That a sound run is called unsound: by the theorem once in a million, for each of the runs below. */
const CONFIDENCE = { delta: 1e-10, falseAlarm: 1e-6 };

const bits = { bits: LANE_BITS };
const privacy = { placement: 'distributed', noise: 'skellam', clip: CLIP, colluding: 0, budgets: [] } as const;

/** What the ledger would charge for a round of that noise. */
function claimOf(noise: 'central' | 'distributed', noiseMultiplier: string): number {
  const cohort = { clients: CANARIES, minimumSurvivors: CANARIES };
  const event: PrivacyEvent =
    noise === 'distributed'
      ? eventOf(noisePlan(bits, { ...privacy, noiseMultiplier }, cohort, CANARIES))
      : latticeEvent(planCentral({ dimension: CANARIES, noiseMultiplier: parseRational(noiseMultiplier) }));
  return privacyEpsilon([{ event, count: 1 }], CONFIDENCE.delta, { relation: 'zero-out' }).value;
}

function empirical(noise: 'none' | 'central' | 'distributed', noiseMultiplier: string, seed: string): number {
  const random = seededRandom(`audit/${seed}`);
  const settings = { clients: CANARIES, dimension: CANARIES, clip: CLIP, noiseMultiplier };
  const open = (): ReturnType<typeof openCohortMean> => openCohortMean(noise, settings, random.fork('noise'));
  const scores = runCanaries({ canaries: CANARIES, clip: CLIP, open }, random.fork('coins'));
  return epsilonLowerBound(inferMembership(scores), CONFIDENCE);
}

describe.each(['central', 'distributed'] as const)('%s noise', (noise) => {
  test.each(['0.7', '1', CLAIMED])('of %s times the clip is not refuted', (noiseMultiplier) => {
    const claim = claimOf(noise, noiseMultiplier);
    for (const seed of ['a', 'b']) expect(empirical(noise, noiseMultiplier, seed)).toBeLessThanOrEqual(claim);
  });

  test('the attack is one: it finds something of what there is to find', () => {
    expect(empirical(noise, '0.7', 'a')).toBeGreaterThan(0.5);
  });

  test.each([
    ['a sixth of the noise that is claimed', '0.5'],
    ['a fifteenth', '0.2'],
  ])('a mutant with %s is caught', (_, noiseMultiplier) => {
    expect(empirical(noise, noiseMultiplier, 'mutant')).toBeGreaterThan(claimOf(noise, CLAIMED));
  });
});

test('a mutant that forgot its noise is caught', () => {
  const found = empirical('none', CLAIMED, 'mutant');
  expect(found).toBeGreaterThan(claimOf('central', CLAIMED));
  expect(found).toBeGreaterThan(3);
});
