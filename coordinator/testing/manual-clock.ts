import type { Clock } from '../src/ports.ts';

export interface ManualClock extends Clock {
  /** Moves time on and calls what is due by then, in order; what a callback asks for is called too when it is due. */
  advance(ms: number): void;
}

/** Time that stands still until it is moved. */
export function manualClock(start: number = 1_800_000_000_000): ManualClock {
  let now = start;
  let due: { readonly at: number; readonly callback: () => void }[] = [];
  const takeNext = (end: number): (() => void) | null => {
    const [next] = due.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
    if (next === undefined) return null;
    due = due.filter((other) => other !== next);
    now = Math.max(now, next.at);
    return next.callback;
  };
  return {
    now: () => now,
    after: (delayMs, callback) => {
      const entry = { at: now + delayMs, callback };
      due.push(entry);
      return () => {
        due = due.filter((other) => other !== entry);
      };
    },
    advance: (ms) => {
      const end = now + ms;
      for (let call = takeNext(end); call !== null; call = takeNext(end)) call();
      now = end;
    },
  };
}
