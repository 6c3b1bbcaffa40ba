/** What `carapace up` tells as it goes on: one interface, a narrator for people and lines of JSON for programs. */
import type { BudgetId } from '@carapace/aggregation';
import type { Happening } from '@carapace/coordinator';
import type { Ended } from './client-processes.ts';
import type { PlannedNoise } from './plan-noise.ts';
import type { UpOptions } from './up-options.ts';

export interface Beginning {
  readonly url: string;
  readonly task: string;
  readonly model: string;
  readonly version: number;
  readonly parameters: number;
  readonly protection: UpOptions['protection'];
  /** Null without differential privacy. */
  readonly noise: NamedNoise | null;
  /** Examples of each label, of each client. */
  readonly shares: readonly (readonly number[])[];
}

/** The noise of a run, and the budget that it is charged to. */
export interface NamedNoise extends PlannedNoise {
  readonly budget: BudgetId;
  readonly epsilon: number;
  readonly delta: number;
  readonly clip: number;
}

export interface Summary {
  readonly task: string;
  readonly model: string;
  readonly version: number;
  /** Completed in this run. */
  readonly rounds: number;
  /** Of the last version, on the 10,000 test images; null before the first. */
  readonly testAccuracy: number | null;
  readonly clients: number;
  readonly protection: UpOptions['protection'];
  /** Spent in this run's budget; null without differential privacy. */
  readonly epsilon: number | null;
  /** Since the command was started. */
  readonly seconds: number;
  /** Updates received. */
  readonly bytesUp: number;
  /** Models sent. */
  readonly bytesDown: number;
  readonly url: string;
}

export interface Reporter {
  starting(options: UpOptions): void;
  listening(url: string, dataDirectory: string, newAdminKey: boolean): void;
  begun(beginning: Beginning): void;
  happened(happening: Happening): void;
  clientSaid(number: number, event: Readonly<Record<string, unknown>>): void;
  clientEnded(ended: Ended): void;
  trained(summary: Summary): void;
  stopping(): void;
  finished(summary: Summary): void;
}
