/** Every error of `@carapace/simulations`, by code: what it means, what to do. `docs/errors.md` equals this table. */
export const SIMULATION_ERRORS = {
  DATASET_CORRUPT: [
    'A data set on disk does not have the checksum that is pinned in code.',
    'Install its package again.',
  ],
  PARTITION_INVALID: [
    'A partition asks for more parts than there are examples, or has a parameter out of range.',
    'Ask for fewer parts, or raise alpha.',
  ],
  AUDIT_INVALID: [
    'An audit of privacy was asked about guesses, canaries or a confidence that there cannot be.',
    'The message has what was asked; give each canary a coin and a score, and a delta and a false-alarm rate below 1.',
  ],
  EVALUATION_FAILED: [
    'The evaluation thread failed or did not answer in time.',
    'The message has the cause; the round is abandoned and the next one tries again.',
  ],
} as const;

export type SimulationErrorCode = keyof typeof SIMULATION_ERRORS;

export class SimulationError extends Error {
  override readonly name = 'SimulationError';
  readonly code: SimulationErrorCode;

  constructor(code: SimulationErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.code = code;
  }
}
