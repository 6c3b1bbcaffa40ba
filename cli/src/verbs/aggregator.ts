import type { Command } from 'commander';
import type { Io } from '../io.ts';
import type { AggregatorOptions } from '../run-aggregator.ts';

export function addAggregatorVerb(program: Command, io: Io): void {
  program
    .command('aggregator')
    .description(
      'Hold the other half of every update, apart from the coordinator and run by somebody else; until stopped (tasks with protection "shares")',
    )
    .option('--join <link>', 'join link, needed the first time (or CARAPACE_JOIN)')
    .option('--state <directory>', 'key, membership and the secrets of running rounds', '.carapace-aggregator')
    .option('--name <name>', 'for the operator’s list', 'aggregator')
    .option('--min-cohort <count>', 'tell no sum of fewer clients', Number)
    .option('--authority <key>', 'pin the enrolment authority that vouches for the clients (`carapace roster key`)')
    .option('--json', 'one JSON object a line as things happen')
    .exitOverride()
    .action(async (options: AggregatorOptions) => {
      const { runAggregator } = await import('../run-aggregator.ts');
      await runAggregator(io, options);
    });
}
