/** The first Ctrl-C (or SIGTERM) asks for a clean end; a later one, when that takes too long, ends at once. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A terminal's Ctrl-C reaches a process twice when npm passes it on: what comes within this is the same one. */
const SAME_MS = 1_000;

export interface Interrupt {
  readonly signal: AbortSignal;
  release(): void;
}

export function untilInterrupted(): Interrupt {
  const controller = new AbortController();
  let first = 0;
  const onSignal = (): void => {
    if (!controller.signal.aborted) {
      first = performance.now();
      controller.abort(new Error('interrupted'));
    } else if (performance.now() - first > SAME_MS) {
      process.exit(130);
    }
  };
  const onParentGone = (): void => controller.abort(new Error('the parent process has gone'));
  for (const name of SIGNALS) process.on(name, onSignal);
  // Started by `carapace up`: with the parent dies the channel, however the parent died.
  if (process.connected) process.on('disconnect', onParentGone);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of SIGNALS) process.off(name, onSignal);
      process.off('disconnect', onParentGone);
      if (process.connected) process.disconnect();
    },
  };
}
