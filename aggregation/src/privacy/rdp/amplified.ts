/** Renyi curves of sampled mechanisms from those of the mechanisms, at whole orders. */
import type { RenyiCurve } from './convert.ts';

/** log n! to the last bit or two: sums of logarithms. */
const LOG_FACTORIALS: number[] = [0];

function logFactorial(n: number): number {
  for (let k = LOG_FACTORIALS.length; k <= n; k++) LOG_FACTORIALS.push(LOG_FACTORIALS[k - 1]! + Math.log(k));
  return LOG_FACTORIALS[n]!;
}

function logChoose(n: number, k: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

function logSum(terms: readonly number[]): number {
  const highest = Math.max(...terms);
  if (!Number.isFinite(highest)) return highest;
  return highest + Math.log(terms.reduce((sum, term) => sum + Math.exp(term - highest), 0));
}

/** Poisson sampling of any mechanism, factor 3 (Zhu and Wang 2019, theorem 5), or not sampled if that is less. */
export function poissonAmplified(probability: number, curve: RenyiCurve): RenyiCurve {
  if (probability === 1) return curve;
  const [logQ, logRest] = [Math.log(probability), Math.log1p(-probability)];
  return (order) => {
    const terms = [(order - 1) * logRest + Math.log1p(probability * (order - 1))];
    terms.push(logChoose(order, 2) + 2 * logQ + (order - 2) * logRest + curve(2));
    for (let l = 3; l <= order; l++) {
      terms.push(Math.log(3) + (l - 1) * curve(l) + logChoose(order, l) + (order - l) * logRest + l * logQ);
    }
    return Math.min(curve(order), logSum(terms) / (order - 1));
  };
}

/** Up to it the bound uses forward differences. */
const MOST_DIFFERENCES = 256;

/**
 * A cohort of fixed size under replacement, Gaussian noise of `scale` times the distance (Wang, Balle and Kasiviswanathan 2019, theorem 27);
 * between whole orders by the convexity of the cumulant function (corollary 10).
 */
export function withoutReplacementRenyi(share: number, scale: number): RenyiCurve {
  if (share === 1) return (order) => order / (2 * scale * scale);
  return (order) => {
    const [low, high] = [Math.floor(order), Math.ceil(order)];
    const at = (whole: number): number => logMomentBound(share, scale, whole);
    const part = order - low;
    return (part === 0 ? at(low) : (1 - part) * at(low) + part * at(high)) / (order - 1);
  };
}

function logMomentBound(share: number, scale: number, order: number): number {
  if (order === 1) return 0;
  const renyi = (a: number): number => a / (2 * scale * scale);
  const logQ = Math.log(share);
  const second = renyi(2) + Math.log1p(-Math.exp(-renyi(2)));
  const terms = [0, 2 * logQ + logChoose(order, 2) + Math.min(Math.log(4) + second, renyi(2) + Math.LN2)];
  const differences = order <= MOST_DIFFERENCES && order > 2 ? forwardDifferences(scale, order) : undefined;
  for (let i = 3; i <= order; i++) {
    let term = Math.LN2 + (i - 1) * renyi(i);
    if (differences !== undefined) {
      const [down, up] = [2 * Math.floor(i / 2), 2 * Math.ceil(i / 2)];
      term = Math.min(term, Math.log(4) + 0.5 * (differences[down]! + differences[up]!));
    }
    terms.push(term + i * logQ + logChoose(order, i));
  }
  return logSum(terms);
}

/** Of logarithms a and b: log |e^a - e^b| and the sign. */
function logDifference(a: number, b: number): { readonly log: number; readonly isPositive: boolean } {
  if (a === b) return { log: -Infinity, isPositive: true };
  const [more, less] = [Math.max(a, b), Math.min(a, b)];
  return { log: more + Math.log1p(-Math.exp(less - more)), isPositive: a > b };
}

/** log |differences| at 0, of order 0 to n + 2, of e^{k (k - 1) / (2 scale^2)} in k. */
function forwardDifferences(scale: number, n: number): number[] {
  const count = n + 3;
  const logs = Array.from({ length: count }, (_, k) => (k * (k - 1)) / (2 * scale * scale));
  const positive = logs.map(() => true);
  const differences = [logs[0]!];
  for (let level = 1; level < count; level++) {
    for (let k = 0; k < count - level; k++) {
      if (positive[k] === positive[k + 1]) {
        const { log, isPositive } = logDifference(logs[k + 1]!, logs[k]!);
        logs[k] = log;
        positive[k] = isPositive === positive[k + 1];
      } else {
        logs[k] = logSum([logs[k]!, logs[k + 1]!]);
        positive[k] = positive[k + 1]!;
      }
    }
    differences.push(logs[0]!);
  }
  return differences;
}
