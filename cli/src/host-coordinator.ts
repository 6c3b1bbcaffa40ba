/** A coordinator in this process, for the verbs that host one: its keys saved, its address noted, its end heard of. */
import { startCoordinator } from '@carapace/coordinator';
import type { Config, Extras, Running } from '@carapace/coordinator';
import { CliError } from './errors.ts';
import { saveAdminKey, saveEndpoint } from './local-files.ts';
import { modelWriter } from './model-writer.ts';

export interface Hosted {
  readonly running: Running;
  /** Rejects when the coordinator can go on no longer; never resolves. */
  readonly failed: Promise<never>;
}

export async function hostCoordinator(config: Config, extras: Extras): Promise<Hosted> {
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  const onFatal = (cause: unknown): void => {
    const why = cause instanceof Error ? cause.message : String(cause);
    failure.reject(new CliError('RUN_FAILED', `the records are lost to this process: ${why}`, { cause }));
  };
  const running = await starting(config, { ...extras, onFatal });
  if (running.firstAdminKey !== null) saveAdminKey(config.dataDirectory, running.firstAdminKey);
  saveEndpoint(config.dataDirectory, { url: running.url, pid: process.pid });
  return { running, failed: failure.promise };
}

async function starting(config: Config, extras: Extras): Promise<Running> {
  try {
    return await startCoordinator(config, { modelWriter, ...extras });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const { host, port } = config.listen;
    if (code === 'EADDRINUSE')
      throw new CliError(
        'RUN_FAILED',
        `port ${port} of ${host} is taken: stop what listens there, or choose another --port`,
        { cause },
      );
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
      throw new CliError('RUN_FAILED', `${host} is no address of this host: choose another --host`, { cause });
    if (code === 'EACCES')
      throw new CliError('RUN_FAILED', `${(cause as Error).message}: choose another --data or --port`, { cause });
    throw cause;
  }
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
