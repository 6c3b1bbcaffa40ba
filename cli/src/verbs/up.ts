import type { Command } from 'commander';
import type { Io } from '../io.ts';
import type { UpFlags } from '../up/up-options.ts';

export function addUpVerb(program: Command, io: Io): void {
  program
    .command('up')
    .description(
      'A whole federation on this host: a coordinator, and clients that train on MNIST, unevenly split (`npm start`)',
    )
    .option('--rounds <count>', 'train this many rounds, then only serve (until stopped; 5 with --exit)')
    .option('--clients <count>', 'client processes', '8')
    .option('--exit', 'end when the rounds are done')
    .option('--data <directory>', 'keys, records, models and clients; what it holds is gone on with', '.carapace')
    .option('--port <number>', 'where to listen (7878, or a free one when that is taken)')
    .option('--model <name>', 'mnist-2nn, mnist-cnn (McMahan et al. 2017) or logistic', 'mnist-2nn')
    .option('--alpha <number>', 'Dirichlet concentration of the labels; `even` spreads them evenly', '0.5')
    .option('--seed <text>', 'of the split', '1')
    .option('--epochs <count>', 'local epochs a round', '1')
    .option('--batch-size <count>', 'of local training', '32')
    .option('--learning-rate <number>', 'of local training', '0.1')
    .option(
      '--protection <kind>',
      'secagg: the coordinator learns only sums; shares: so it does, with a second aggregator; clear: it sees each update (secagg from 3 clients on)',
    )
    .option('--epsilon <number>', 'differential privacy for whole clients: all rounds together cost no more than this')
    .option('--delta <number>', 'with --epsilon (1e-5)')
    .option('--clip <number>', 'with --epsilon: L2 norm that an update is clipped to (1)')
    .option('--json', 'one JSON object a line as things happen, the summary last')
    .action(async (flags: UpFlags) => {
      const { parseUpOptions } = await import('../up/up-options.ts');
      const options = parseUpOptions(flags);
      const { runFederation } = await import('../up/federation.ts');
      await runFederation(io, options);
    });
}
