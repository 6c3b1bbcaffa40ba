/** Which losses of a pair are meant: by the mass of P above the two ends. */
export interface Band {
  /** P's mass above the upper end, where the loss has no bound; 0 for all. */
  readonly tail: number;
  /** The same of the lower end; none by default. */
  readonly above?: number;
  /** What lies above belongs to another band; otherwise it counts as an infinite loss. */
  readonly continued?: boolean;
}
