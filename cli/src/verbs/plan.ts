import type { Command } from 'commander';
import type { Io } from '../io.ts';
import type { PlanFlags } from '../plan-question.ts';

export function addPlanVerb(program: Command, io: Io): void {
  program
    .command('plan [task]')
    .description(
      'What private training will cost and leave, before it runs: of a task document, or of a population, a cohort, rounds and a target (docs/privacy/planning.md)',
    )
    .option('--population <count>', 'clients that may be selected')
    .option('--cohort <count>', 'updates that a round wants')
    .option('--minimum <count>', 'survivors that a round needs (what its masks need anyway)')
    .option('--over-selection <factor>', 'clients selected for each that is wanted (1)')
    .option('--rounds <count>', 'completed rounds; without it as many as the target holds')
    .option('--epsilon <number>', 'what all of them may cost; without --noise-multiplier the least noise is found')
    .option('--delta <number>', 'probability that the guarantee may fail with, below 1 / population (1e-6)')
    .option('--view <view>', 'whose epsilon the target is: model or server (model)')
    .option('--noise-multiplier <decimal>', 'noise on the sum over the clip')
    .option('--noise <law>', 'skellam or discrete-gaussian (skellam; in the clear discrete-gaussian)')
    .option('--selection <how>', 'fixed, or poisson: secret coins, which amplify the model’s view alone (fixed)')
    .option('--rate <decimal>', 'probability of a secret coin (cohort / population)')
    .option('--relation <relation>', 'zero-out or replace-one (zero-out)')
    .option('--mode <mode>', 'planned, or adaptive when parameters follow results (planned)')
    .option('--participations <count>', 'rounds that one client takes part in at most; else predicted')
    .option('--apart <count>', 'from one round of a client to its next at least (1)')
    .option('--protection <kind>', 'secagg, shares or clear (secagg)')
    .option('--placement <who>', 'adds the noise: distributed, central or local (distributed; in the clear central)')
    .option('--bits <count>', 'of a lane (16)')
    .option('--clip <number>', 'L2 norm of an update (1); nothing here depends on it but what it is called')
    .option('--colluding <count>', 'survivors that are not relied on for noise (0)')
    .option('--parameters <count>', 'values of the model')
    .option(
      '--model <source>',
      'count them: a model.json, a .safetensors file or the name of a shipped model; with --url of a model there',
    )
    .option('--dropout <share>', 'probability that a selected client does not report (0.1)')
    .option('--prices <list>', 'what changes cost, such as noise=1,rounds=1,cohort=1,delta=1')
    .option('--budgets <names>', 'with --url: budgets whose rounds left are told, such as phones,tablets (the task’s)')
    .option('--svg <file>', 'draw the curves into a file')
    .option(
      '--url <url>',
      'ask this coordinator, which knows its clients, models and budgets, instead of computing here',
    )
    .option('--key-file <file>', 'with --url: file with an API key (CARAPACE_KEY, else the data directory’s admin key)')
    .option('--data <directory>', 'with --url: data directory of a coordinator on this host', '.carapace')
    .option('--json', 'one JSON object instead of text')
    .exitOverride()
    .action(async (task: string | undefined, flags: PlanFlags) => {
      const { answerPlan } = await import('../plan-answer.ts');
      await answerPlan(io, task, flags);
    });
}
