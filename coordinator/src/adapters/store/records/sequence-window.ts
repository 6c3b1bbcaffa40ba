/** The anti-replay window of RFC 4303, section 3.4.3: 64 numbers wide, the newest at bit 0. */

export interface SequenceWindow {
  /** The highest number accepted; 0 before the first. */
  readonly high: bigint;
  /** Bit i stands for `high - i`. */
  readonly bits: bigint;
}

const WIDTH = 64n;
/** What an int8 column holds; a client that reaches it has made 9 x 10^18 calls. */
const LAST = 2n ** 63n - 1n;

/** The window with the number marked, or null when the number was used, is too old, or is out of range. */
export function acceptInWindow(window: SequenceWindow, sequence: bigint): SequenceWindow | null {
  if (sequence < 1n || sequence > LAST) return null;
  if (sequence > window.high) {
    const shifted = sequence - window.high >= WIDTH ? 0n : window.bits << (sequence - window.high);
    return { high: sequence, bits: BigInt.asUintN(64, shifted | 1n) };
  }
  const back = window.high - sequence;
  if (back >= WIDTH || (window.bits >> back) & 1n) return null;
  return { high: window.high, bits: window.bits | (1n << back) };
}
