/**
 * How many shares must meet. On the complete graph every client holds a share of every other, so two disjoint views of
 * the survivors cannot both be unmasked when `2t - n > c`: an honest client answers one of them, the c that collude with
 * the coordinator answer both (Bonawitz et al. 2017, section 6.2).
 */
import { AggregationError } from '../errors.ts';
import { sparseFlaw, sparseGraphAgainstCoordinator } from './sparse-graph.ts';

/** Shares are numbered by one byte, and above this the complete graph costs more than it gives. */
export const COMPLETE_GRAPH_LIMIT = 255;

/** Messages number the members with 16 bits, and count them with as many. */
export const MOST_CLIENTS = 0xffff;

export interface Thresholds {
  /** t: shares that recover a secret; fewer clients at the end and the round is abandoned. */
  readonly threshold: number;
  /** Inputs that a sum must hold at least, whatever the threshold. */
  readonly minimumSurvivors: number;
  /** c: clients that may collude with a malicious coordinator. */
  readonly colluding: number;
  /** k: with how many others each client shares, above {@link COMPLETE_GRAPH_LIMIT}; up to it with all. */
  readonly neighbours?: number;
}

/** The least t with 2t - n > c. */
export function leastThreshold(clients: number, colluding: number): number {
  return Math.floor((clients + colluding) / 2) + 1;
}

/** Largest share of drop-outs that a sparse graph is tried for, and the steps down from it. */
const DROPOUTS = [0.25, 0.2, 0.15, 0.1, 0.05] as const;
const SPARSE_COLLUDING_SHARE = 0.05;
const ABORT_BITS = 20;

/**
 * Complete graph: t = floor(2n/3) + 1 withstands a third of the clients colluding and, another time, a third dropping out.
 * Above {@link COMPLETE_GRAPH_LIMIT}: a twentieth colluding, and the most of {@link DROPOUTS} for which one byte can number the
 * shares; a round with that many drop-outs fails with probability at most 2^-20. @throws AggregationError `SECAGG_PARAMETERS`
 */
export function thresholdsFor(clients: number): Thresholds {
  if (clients > MOST_CLIENTS) throw refused(`a cohort of ${clients}, at most ${MOST_CLIENTS} can be numbered`);
  if (clients > COMPLETE_GRAPH_LIMIT) return sparseThresholdsFor(clients);
  const threshold = leastSurvivors(clients);
  const colluding = Math.max(0, Math.min(2 * threshold - clients - 1, threshold - 2));
  return { threshold, minimumSurvivors: threshold, colluding };
}

/** `minimumSurvivors` of {@link thresholdsFor}, without the search for a graph, which takes a tenth of a second. */
export function leastSurvivors(clients: number): number {
  if (clients <= COMPLETE_GRAPH_LIMIT) return Math.min(clients, Math.floor((2 * clients) / 3) + 1);
  return leastThreshold(clients, Math.floor(SPARSE_COLLUDING_SHARE * clients));
}

function sparseThresholdsFor(clients: number): Thresholds {
  const colluding = Math.floor(SPARSE_COLLUDING_SHARE * clients);
  const rule = { clients, colluding, minimumSurvivors: leastSurvivors(clients) };
  for (const dropouts of DROPOUTS) {
    const graph = sparseGraphAgainstCoordinator(rule, { dropouts, abortBits: ABORT_BITS });
    if (graph !== undefined) return { minimumSurvivors: rule.minimumSurvivors, colluding, ...graph };
  }
  throw refused(`a cohort of ${clients}: no sparse graph of it withstands ${colluding} that collude`);
}

/** Called where a task or a round is made, and again by every client. @throws AggregationError `SECAGG_PARAMETERS` */
export function checkThresholds(clients: number, thresholds: Thresholds): void {
  const { threshold: t, minimumSurvivors, colluding: c, neighbours } = thresholds;
  if (clients < 2 || clients > MOST_CLIENTS) throw refused(`a cohort of ${clients}`);
  if (clients > COMPLETE_GRAPH_LIMIT || neighbours !== undefined) {
    checkSparse(clients, thresholds);
    return;
  }
  if (c < 0 || 2 * t - clients <= c) {
    throw refused(
      `2t - n is ${2 * t - clients}, not above the ${c} that may collude: t >= ${leastThreshold(clients, c)}`,
    );
  }
  if (t > clients) throw refused(`a threshold of ${t} among ${clients} clients`);
  if (minimumSurvivors < t || minimumSurvivors > clients) {
    throw refused(`${minimumSurvivors} survivors, allowed are ${t} to ${clients}`);
  }
  if (minimumSurvivors - c < 2) {
    throw refused(`with ${minimumSurvivors} survivors, ${c} of them colluding, a sum could show one honest input`);
  }
}

function checkSparse(clients: number, { neighbours, ...rest }: Thresholds): void {
  if (neighbours === undefined) {
    throw refused(
      `a cohort of ${clients}; the complete graph takes 2 to ${COMPLETE_GRAPH_LIMIT}, more take neighbours`,
    );
  }
  if (clients <= COMPLETE_GRAPH_LIMIT) throw refused(`a cohort of ${clients} takes the complete graph`);
  if (rest.minimumSurvivors > clients) throw refused(`${rest.minimumSurvivors} survivors of ${clients}`);
  const flaw = sparseFlaw({ clients, neighbours, ...rest });
  if (flaw !== undefined) throw refused(flaw);
}

function refused(why: string): AggregationError {
  return new AggregationError('SECAGG_PARAMETERS', why);
}
