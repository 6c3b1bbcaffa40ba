/** Grids of orders that published accountants use: to reproduce their figures. The engine itself searches the real line. */
function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

const TENTHS: readonly number[] = Array.from({ length: 99 }, (_, i) => 1 + (i + 1) / 10);

/** dp_accounting 0.6.0, `DEFAULT_RDP_ORDERS`. */
export const DP_ACCOUNTING_ORDERS: readonly number[] = [...TENTHS, ...range(11, 63), 128, 256, 512, 1024];
/** Opacus 1.5, `DEFAULT_ALPHAS`, and TensorFlow Privacy's tree accountant. */
export const OPACUS_ORDERS: readonly number[] = [...TENTHS, ...range(12, 63)];
/** google-research/federated, `distributed_dp/accounting_utils.py`. */
export const DISTRIBUTED_ORDERS: readonly number[] = [...range(2, 128), 256];
