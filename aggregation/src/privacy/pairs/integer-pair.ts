/** The dominating pair of an integer noise and a mixture of integer shifts: one atom per output. */
import { logMean } from './shift-mixture.ts';
import type { Shift, ShiftMixture } from './shift-mixture.ts';
import type { IntegerNoise } from './integer-noise.ts';
import { atomPair } from './loss-pair.ts';
import type { LossPair } from './loss-pair.ts';

export function integerPair(noise: IntegerNoise, mixture: ShiftMixture): LossPair {
  const logP = logProbabilities(noise.steps);
  const centres = [...mixture.p, ...mixture.q].map(({ centre }) => centre);
  const [least, greatest] = [Math.min(...centres, 0), Math.max(...centres, 0)];
  const [pWeights, qWeights] = [mixture.p.map(({ weight }) => weight), mixture.q.map(({ weight }) => weight)];
  const losses: number[] = [];
  const masses: number[] = [];
  for (let k = least - noise.reach; k <= noise.reach + greatest; k++) {
    const ratios = ({ centre }: Shift): number => logRatio(noise.steps, logP, k, centre);
    const p = logMean(pWeights, mixture.p.map(ratios));
    losses.push(p - logMean(qWeights, mixture.q.map(ratios)));
    masses.push(Math.exp(logP[Math.abs(k)]! + p));
  }
  const spacing = mixture.p.length === 1 && mixture.q.length === 1 ? noise.spacingOf(greatest - least) : null;
  return atomPair(losses, masses, { infinite: cutMass(noise, logP), spacing });
}

/** log p(0), log p(1), ...: normalised so that the whole sums to 1. */
function logProbabilities(steps: Float64Array): Float64Array {
  const logs = new Float64Array(steps.length + 1);
  for (let k = 1; k < logs.length; k++) logs[k] = logs[k - 1]! + steps[k - 1]!;
  let sum = 0;
  for (let k = logs.length - 1; k >= 1; k--) sum += 2 * Math.exp(logs[k]!);
  const constant = Math.log1p(sum);
  return logs.map((log) => log - constant);
}

/** Up to so many ratios are added up one by one. */
const FEW = 64;

/** log p(k - shift) - log p(k), for short ways from the ratios between, so that nothing cancels. */
function logRatio(steps: Float64Array, logP: Float64Array, k: number, shift: number): number {
  const [from, to] = [Math.abs(k), Math.abs(k - shift)];
  if (Math.abs(to - from) > FEW) return logP[to]! - logP[from]!;
  let sum = 0;
  for (let j = Math.min(from, to); j < Math.max(from, to); j++) sum += steps[j]!;
  return to >= from ? sum : -sum;
}

/** What lies beyond the reach on both sides: ratios fall, so it is less than a geometric rest. */
function cutMass({ reach, steps }: IntegerNoise, logP: Float64Array): number {
  return (2 * Math.exp(logP[reach]!)) / -Math.expm1(steps[reach]!);
}
