/** An answer of the coordinator that is a problem document: its code decides what follows. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  readonly code: string;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(status: number, members: Readonly<Record<string, unknown>>) {
    const code = typeof members['code'] === 'string' ? members['code'] : `HTTP_${status}`;
    super(`${code}: ${typeof members['detail'] === 'string' ? members['detail'] : 'no detail'}`);
    this.status = status;
    this.code = code;
    this.members = members;
  }

  /** Worth another try as it is: the coordinator is busy, starting, stopping, or failed without acknowledging anything. */
  get isTransient(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }

  get retryAfterMs(): number | null {
    const value = this.members['retryAfterMs'];
    return typeof value === 'number' && value >= 0 ? value : null;
  }
}
