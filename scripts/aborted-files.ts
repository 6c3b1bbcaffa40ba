/**
 * Files whose process V8 ended. Where many WebAssembly modules come and go in one process, as embedded databases do in tests, Node 24
 * ends in some runs of a hundred with `Check failed: jit_page_->allocations_.erase(addr) == 1` and SIGTRAP (nodejs/node#64500).
 */
const ABORTED = /Worker exited unexpectedly with signal SIGTRAP .*while running test file (.+)$/m;

/** Of errors that nothing handled: the files that were running. */
export function abortedFiles(unhandledErrors: readonly unknown[]): string[] {
  return unhandledErrors.flatMap((error) => {
    const file = fileIn(error);
    return file === null ? [] : [file];
  });
}

function fileIn(error: unknown): string | null {
  if (typeof error !== 'object' || error === null) return null;
  const { message, cause } = error as { readonly message?: unknown; readonly cause?: unknown };
  const found = typeof message === 'string' ? ABORTED.exec(message)?.[1] : undefined;
  return found ?? fileIn(cause);
}
