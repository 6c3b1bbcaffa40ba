/**
 * The integer fact that privacy rests on: the vector that noise is added to has, as integers, at most the squared norm that was
 * accounted for. The comparison is exact; binary64 would round sums of squares above 2^53.
 */
import { withWorkspace } from './lattice/kernel.ts';

export interface IntegerNorms {
  readonly l2Squared: bigint;
  readonly l1: bigint;
}

/** Exact for up to 2^26 integers of 32 bits. */
export function integerNorms(values: Int32Array): IntegerNorms {
  return withWorkspace(values.length, (workspace) => {
    workspace.integers.set(values);
    return workspace.norms();
  });
}

/** The largest integer whose square is at most `value`, which is not negative. */
export function integerRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/**
 * The largest L1 norm of an integer vector with this squared L2 norm: sqrt(d) times the L2 norm, and at most the squared norm, since
 * no integer is above its square.
 */
export function l1Bound(l2Squared: bigint, dimension: number): bigint {
  const spread = integerRoot(l2Squared * BigInt(dimension));
  return spread < l2Squared ? spread : l2Squared;
}
