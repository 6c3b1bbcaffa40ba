/** A client that did not do its part, named for the operator and for the choice of the next cohort. */
import type { SecaggRefusal } from '../../errors.ts';

export interface Accusation {
  readonly member: number;
  readonly code: SecaggRefusal;
  /** Whose secret it was about. */
  readonly subject: number;
}
