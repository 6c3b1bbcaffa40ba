import type { Command } from 'commander';
import type { Io } from '../io.ts';
import type { CoordinatorOptions } from '../run-coordinator.ts';

export function addCoordinatorVerb(program: Command, io: Io): void {
  program
    .command('coordinator')
    .description(
      'Run a coordinator until stopped: records, queue and blobs in its data directory unless told otherwise',
    )
    .option('--config <file>', 'YAML configuration (docs/configuration.md); environment and flags win over it')
    .option('--host <address>', 'where to listen (127.0.0.1)')
    .option('--port <number>', 'where to listen (7878)')
    .option('--data <directory>', 'keys, blobs and the embedded database (.carapace)')
    .option('--public-url <url>', 'the address that clients use')
    .option('--evaluate <set>', 'judge every new version on a test set that this host has: mnist')
    .option('--json', 'one JSON object a line as things happen')
    .action(async (options: CoordinatorOptions) => {
      const { runCoordinator } = await import('../run-coordinator.ts');
      await runCoordinator(io, options);
    });
}
