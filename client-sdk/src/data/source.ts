/** Where a client's examples come from. They are read on the device and never leave it. */
import type { Examples } from '../training/engine.ts';

export interface DataSource {
  /** For logs: says what it is, never what is in it. */
  readonly description: string;
  /** The training examples; called once per process, before the first round. */
  load(signal: AbortSignal): Promise<Examples>;
}
