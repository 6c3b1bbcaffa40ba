/**
 * Degree and threshold of the k-regular graph of Bell et al. 2020 (SecAgg+), computed instead of tabulated. The graph is a
 * Harary graph on a random permutation: k/2 neighbours to each side on a ring.
 */

export interface SparseGraph {
  /** k, even. */
  readonly neighbours: number;
  readonly threshold: number;
}

export interface SparseGraphDemand {
  readonly clients: number;
  /** gamma: share of the clients that collude with the coordinator. */
  readonly corrupt: number;
  /** delta: share of the clients that drop out. */
  readonly dropouts: number;
  /** Privacy fails with probability at most 2^-privacyBits; half of it for each of the two ways. */
  readonly privacyBits: number;
  /** A round with that many drop-outs is abandoned with probability at most 2^-abortBits. */
  readonly abortBits: number;
}

/**
 * The least k, with its t, such that
 * (i) n Pr[Hyp(n-1, gamma n, k) >= t] <= 2^-(privacyBits+1): nobody's corrupt neighbours reach the threshold;
 * (ii) n Pr[k/2 places in a row on the ring are corrupt or gone] <= 2^-(privacyBits+1): the honest survivors hang together;
 * (iii) n Pr[Hyp(n-1, (1-delta) n, k) < t] <= 2^-abortBits: enough of everybody's neighbours stay.
 * Undefined where only the complete graph does.
 */
export function sparseGraph(demand: SparseGraphDemand): SparseGraph | undefined {
  const { clients: n, privacyBits, abortBits } = demand;
  const corrupt = Math.ceil(demand.corrupt * n);
  const gone = Math.ceil(demand.dropouts * n);
  const bad = Math.min(n - 1, corrupt + gone);
  const privacy = 2 ** -(privacyBits + 1);
  const draw = hypergeometric(n - 1);
  for (let k = 4; k < n; k += 2) {
    if (n * runProbability(n - 1, bad, k / 2) > privacy) continue;
    const threshold = leastSafeThreshold(k, (t) => n * tail(draw, corrupt, k, t, k) <= privacy);
    if (threshold === undefined) continue;
    if (n * tail(draw, n - 1 - gone, k, 0, threshold - 1) <= 2 ** -abortBits) return { neighbours: k, threshold };
  }
  return undefined;
}

function leastSafeThreshold(k: number, safe: (threshold: number) => boolean): number | undefined {
  for (let t = k / 2; t <= k; t++) if (safe(t)) return t;
  return undefined;
}

/** That `length` given places hold members of a set of `bad` among `places`. */
function runProbability(places: number, bad: number, length: number): number {
  let logarithm = 0;
  for (let i = 0; i < length; i++) {
    if (bad <= i) return 0;
    logarithm += Math.log((bad - i) / (places - i));
  }
  return Math.exp(logarithm);
}

/** Pr[Hyp = x] for `drawn` out of a population of which `marked` are marked. */
type Draw = (marked: number, drawn: number, x: number) => number;

function hypergeometric(population: number): Draw {
  const logFactorial = new Float64Array(population + 1);
  for (let i = 2; i <= population; i++) logFactorial[i] = logFactorial[i - 1]! + Math.log(i);
  const logChoose = (a: number, b: number): number => logFactorial[a]! - logFactorial[b]! - logFactorial[a - b]!;
  return (marked, drawn, x) => {
    if (x < Math.max(0, drawn - (population - marked)) || x > Math.min(drawn, marked)) return 0;
    return Math.exp(logChoose(marked, x) + logChoose(population - marked, drawn - x) - logChoose(population, drawn));
  };
}

function tail(draw: Draw, marked: number, drawn: number, from: number, to: number): number {
  let sum = 0;
  for (let x = from; x <= to; x++) sum += draw(marked, drawn, x);
  return sum;
}
