/** What every verb is given: a voice, the end's signal, the environment. */
import type { Output } from './output.ts';

export interface Io {
  readonly output: Output;
  /** Fires when the user wants an end. */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
}
