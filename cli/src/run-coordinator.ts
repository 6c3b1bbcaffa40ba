/** `carapace coordinator`: a coordinator in this process until it is stopped, and the story of what happens in it. */
import { parseConfig } from '@carapace/coordinator';
import type { Config, Evaluator, Happening } from '@carapace/coordinator';
import { parse as parseYaml } from 'yaml';
import { CliError } from './errors.ts';
import { happeningObject, happeningText } from './happening-text.ts';
import { hostCoordinator, untilAborted } from './host-coordinator.ts';
import type { Io } from './io.ts';
import { adminKeyPath, readTextFile } from './local-files.ts';

export interface CoordinatorOptions {
  readonly config?: string;
  readonly host?: string;
  readonly port?: string;
  readonly data?: string;
  readonly publicUrl?: string;
  readonly evaluate?: string;
}

export async function runCoordinator(io: Io, options: CoordinatorOptions): Promise<void> {
  const { output, signal } = io;
  const config = configOf(io, options);
  const extras = await evaluatorOf(options.evaluate);
  const { running, failed } = await hostCoordinator(config, { ...extras, listeners: [(event) => tell(io, event)] });
  output.object({ event: 'listening', url: running.url, data: config.dataDirectory });
  output.line(`coordinator on ${running.url}, reference at ${running.url}/docs`);
  output.line(
    `records: ${config.databaseUrl === null ? `embedded, in ${config.dataDirectory}` : 'PostgreSQL'}; queue: ${config.redisUrl === null ? 'the same database' : 'Redis'}`,
  );
  if (running.firstAdminKey !== null) {
    output.line(
      `first admin key made, saved in ${adminKeyPath(config.dataDirectory)} (mode 0600): operator commands run here find it`,
    );
  }
  output.line('next: carapace model upload mnist-2nn mnist-2nn; carapace task create FILE; carapace token create');
  try {
    await Promise.race([untilAborted(signal), failed]);
  } finally {
    output.line('stopping');
    await running.close();
  }
}

function configOf({ env }: Io, { config, host, port, data, publicUrl }: CoordinatorOptions): Config {
  const document = config === undefined ? {} : ((parseYaml(readTextFile(config)) ?? {}) as Record<string, unknown>);
  return parseConfig(document, env, { host, port: port === undefined ? undefined : Number(port), data, publicUrl });
}

async function evaluatorOf(set: string | undefined): Promise<{ evaluator?: Evaluator }> {
  if (set === undefined) return {};
  if (set === 'mnist') return { evaluator: (await import('@carapace/simulations')).mnistEvaluator() };
  throw new CliError('USAGE_INVALID', `--evaluate is "${set}"; it may be mnist`);
}

function tell({ output }: Io, happening: Happening): void {
  output.object(happeningObject(happening));
  const text = happeningText(happening);
  if (text !== null) output.line(`${new Date(happening.at).toISOString().slice(11, 19)}  ${text}`);
}
