/** What a new signature or the same bytes once more put right. */
const MENDED = new Set(['CONTENT_DIGEST_MISMATCH', 'SIGNATURE_EXPIRED', 'SEQUENCE_REPLAYED']);

/** An answer other than success: a problem document of the coordinator, whose code decides what follows, or what somebody between said. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly status: number;
  readonly code: string;
  readonly members: Readonly<Record<string, unknown>>;
  readonly #headerMs: number | null;

  /** @param headerMs what the Retry-After header asks for */
  constructor(status: number, members: Readonly<Record<string, unknown>>, headerMs: number | null = null) {
    const code = typeof members['code'] === 'string' ? members['code'] : `HTTP_${status}`;
    super(`${code}: ${typeof members['detail'] === 'string' ? members['detail'] : 'no detail'}`);
    this.status = status;
    this.code = code;
    this.members = members;
    this.#headerMs = headerMs;
  }

  /**
   * Worth another try: the coordinator is busy, starting, stopping, or failed without acknowledging anything; the request was damaged
   * or delayed on its way; or the answer is not the coordinator's at all (a proxy that has lost it says 404 as readily as 502).
   */
  get isTransient(): boolean {
    const { status, code } = this;
    return status >= 500 || status === 429 || status === 408 || code === `HTTP_${status}` || MENDED.has(code);
  }

  get retryAfterMs(): number | null {
    const value = this.members['retryAfterMs'];
    return typeof value === 'number' && value >= 0 ? value : this.#headerMs;
  }
}
