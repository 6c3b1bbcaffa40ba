import type { Command } from 'commander';
import { sheet } from '../format.ts';
import type { Io } from '../io.ts';
import type { QueryFlags } from '../privacy-queries.ts';

export function addPrivacyVerbs(program: Command, io: Io): void {
  const privacy = program
    .command('privacy')
    .description('What a plan of noise costs in differential privacy (docs/privacy/accounting.md)');
  asking(privacy.command('epsilon').description('The least epsilon that is proved for a delta'))
    .requiredOption('--delta <number>', 'probability that the guarantee may fail with')
    .action(async ({ delta, ...flags }: QueryFlags & { readonly delta: string }) => {
      const { epsilonFor } = await import('../privacy-queries.ts');
      const { result, rows } = epsilonFor(flags, delta);
      io.output.result(result, () => sheet(rows));
    });
  asking(privacy.command('delta').description('The least delta that is proved for an epsilon'))
    .requiredOption('--epsilon <number>', 'the guarantee')
    .action(async ({ epsilon, ...flags }: QueryFlags & { readonly epsilon: string }) => {
      const { deltaFor } = await import('../privacy-queries.ts');
      const { result, rows } = deltaFor(flags, epsilon);
      io.output.result(result, () => sheet(rows));
    });
  asking(
    privacy
      .command('calibrate')
      .description('The least noise, the most steps or the largest sampling probability that meets a target'),
  )
    .option('--solve <parameter>', 'noise, steps or sampling', 'noise')
    .requiredOption('--epsilon <number>', 'target')
    .requiredOption('--delta <number>', 'target')
    .action(
      async (flags: QueryFlags & { readonly solve: string; readonly epsilon: string; readonly delta: string }) => {
        const { calibrationFor } = await import('../privacy-queries.ts');
        const { result, rows } = calibrationFor(flags);
        io.output.result(result, () => sheet(rows));
      },
    );
  privacy
    .command('check <file>')
    .description('Compute every entry of a file of reference values and compare')
    .option('--json', 'one JSON object per entry instead of text')
    .exitOverride()
    .action(async (file: string) => {
      const { checkFile } = await import('../privacy-check.ts');
      checkFile(file, io.output);
    });
}

function asking(command: Command): Command {
  return command
    .option('--mechanism <name>', 'gaussian, laplace, discrete-gaussian, discrete-laplace or skellam', 'gaussian')
    .option(
      '--noise-multiplier <number>',
      'noise over the bound on one person’s part (integer noise: its deviation or scale)',
    )
    .option('--sampling <number>', 'probability to be in a cohort, or its share of the population', '1')
    .option(
      '--sampling-scheme <scheme>',
      'poisson, fixed (cohorts of a fixed size) or none; poisson where --sampling is below 1',
    )
    .option('--population <number>', 'of --sampling-scheme fixed; by default the least that has the share')
    .option('--steps <number>', 'releases', '1')
    .option('--events <file>', 'a JSON list of events and counts instead of a mechanism')
    .option('--relation <relation>', 'add-or-remove, zero-out or replace-one', 'add-or-remove')
    .option('--engine <engine>', 'certified, exact, rdp or zcdp', 'certified')
    .option('--tolerance <number>', 'how far above the truth a certified answer may be, relative', '0.001')
    .option('--json', 'one JSON object instead of text')
    .exitOverride();
}
