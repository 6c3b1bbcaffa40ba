/**
 * Degree and threshold of the k-regular graph of Bell et al. 2020 (SecAgg+), computed instead of tabulated. The graph is a
 * Harary graph on a random permutation: k/2 neighbours to each side on a ring (`graph.ts`).
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

export interface SparseRule extends SparseGraph {
  readonly clients: number;
  readonly minimumSurvivors: number;
  /** c: clients that may collude with a malicious coordinator. */
  readonly colluding: number;
}

/** Privacy fails with probability at most 2^-40 in all. */
const PRIVACY_BITS = 40;

/**
 * The ring is made from the key list, which the coordinator completes: with a hash for every trial it can look for one that
 * suits the clients which collude with it. 2^64 trials within the time of one step are left to it.
 */
const GRINDING_BITS = 64;

/** Shares are numbered by one byte, the client's own among them. */
export const MOST_NEIGHBOURS = 254;

/**
 * Why a sparse graph would not hold against a malicious coordinator, or undefined. The coordinator chooses who drops out, and when:
 * at the worst m of the n clients are left when the ring is made, all c that collude among them. Beside each client stand
 * Hyp(m-1, c, k) of them, and
 * (i) n Pr[Hyp(m-1, c, k) >= 2t - (k+1)] <= 2^-B: otherwise the holders of a client's shares, k and itself, could be brought to give
 * t answers of the one kind and t of the other;
 * (ii) 2n Pr[Hyp(m-1, c, k/2) >= t - k/2 - 1] <= 2^-B: otherwise, however the coordinator chose who drops out, a client at the edge of a
 * gap of k/2 places could still find t signatures, and the honest survivors could fall apart into two sums;
 * (iii) 2m - n > c: any two sets of survivors have an honest client in common, to whom (i) applies;
 * with B = 40 + 1, and 64 more because the ring can be looked for.
 */
export function sparseFlaw(rule: SparseRule): string | undefined {
  return flawUnder(hypergeometric(Math.max(1, rule.minimumSurvivors - 1)), rule);
}

function flawUnder(draw: Draw, rule: SparseRule): string | undefined {
  const { clients: n, neighbours: k, threshold: t, minimumSurvivors: m, colluding: c } = rule;
  if (!Number.isInteger(k) || k < 4 || k % 2 === 1 || k > Math.min(MOST_NEIGHBOURS, m - 2)) {
    return `${k} neighbours; an even number from 4 to ${Math.min(MOST_NEIGHBOURS, m - 2)} will do`;
  }
  if (t > k) return `a threshold of ${t} among ${k} neighbours`;
  if (c < 0 || 2 * m - n <= c) return `2m - n is ${2 * m - n} with ${m} survivors, not above the ${c} that may collude`;
  const most = 2 ** -(PRIVACY_BITS + 1 + GRINDING_BITS);
  if (n * tail(draw, c, k, 2 * t - k - 1, k) > most || 2 * n * tail(draw, c, k / 2, t - k / 2 - 1, k / 2) > most) {
    return `with ${k} neighbours and a threshold of ${t}, ${c} that collude are too many`;
  }
  return undefined;
}

/** The least k, with its t, without a {@link sparseFlaw} and that (iii) of {@link sparseGraph} is content with. */
export function sparseGraphAgainstCoordinator(
  rule: Omit<SparseRule, keyof SparseGraph>,
  { dropouts, abortBits }: Pick<SparseGraphDemand, 'dropouts' | 'abortBits'>,
): SparseGraph | undefined {
  const { clients: n, minimumSurvivors: m } = rule;
  const staying = n - 1 - Math.ceil(dropouts * n);
  const amongAll = hypergeometric(n - 1);
  const amongLeast = hypergeometric(m - 1);
  for (let k = 4; k <= Math.min(MOST_NEIGHBOURS, m - 2); k += 2) {
    const isSafe = (threshold: number): boolean =>
      flawUnder(amongLeast, { ...rule, neighbours: k, threshold }) === undefined;
    const threshold = leastSafeThreshold(k, isSafe);
    if (threshold === undefined) continue;
    if (n * tail(amongAll, staying, k, 0, threshold - 1) <= 2 ** -abortBits) return { neighbours: k, threshold };
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
  for (let x = Math.max(0, from); x <= to; x++) sum += draw(marked, drawn, x);
  return sum;
}
