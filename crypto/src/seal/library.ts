/**
 * Microsoft SEAL 4.1 as WebAssembly (node-seal 7), loaded when it is first asked for. Its objects live in memory that no garbage collector
 * sees: everything made here is made in a {@link SealScope}, and is freed with it, whatever is thrown in between.
 *
 * SEAL draws its keys, errors and seeds from the operating system by itself: no `RandomSource` reaches it.
 */
import type { ClassHandle, MainModule } from 'node-seal';
import { CryptoError } from '../errors.ts';
import type { CryptoErrorCode } from '../errors.ts';

export type Seal = MainModule;

let loading: Promise<Seal> | undefined;

export function loadSeal(): Promise<Seal> {
  return (loading ??= import('node-seal').then((module) => module.default()));
}

export class SealScope {
  readonly #held: ClassHandle[] = [];

  /** What is made for this scope lives as long as it does. */
  keep<T extends ClassHandle>(object: T): T {
    this.#held.push(object);
    return object;
  }

  /** The last first: SEAL's encoders and evaluators refer to their context. */
  free(): void {
    for (let object = this.#held.pop(); object !== undefined; object = this.#held.pop()) object.delete();
  }
}

export function scoped<T>(work: (scope: SealScope) => T): T {
  const scope = new SealScope();
  try {
    return work(scope);
  } finally {
    scope.free();
  }
}

/** SEAL throws what is in C++ no `Error`: here it becomes one. Errors of ours go through. */
export function refusing<T>(code: CryptoErrorCode, what: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof CryptoError) throw cause;
    throw new CryptoError(code, `${what}: ${textOf(cause)}`, { cause });
  }
}

function textOf(cause: unknown): string {
  const message: unknown = cause instanceof Error ? cause.message : cause;
  return Array.isArray(message) ? message.join(': ') : String(message);
}
