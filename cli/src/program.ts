/** The whole command line: each verb adds itself. */
import { Command } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import type { Io } from './io.ts';
import { addAggregatorVerb } from './verbs/aggregator.ts';
import { addAuditVerbs } from './verbs/audit.ts';
import { addBudgetVerbs } from './verbs/budget.ts';
import { addClientVerbs } from './verbs/client.ts';
import { addCoordinatorVerb } from './verbs/coordinator.ts';
import { addDoctorVerb } from './verbs/doctor.ts';
import { addModelVerbs } from './verbs/model.ts';
import { addPlanVerb } from './verbs/plan.ts';
import { addPrivacyVerbs } from './verbs/privacy.ts';
import { addRosterVerbs } from './verbs/roster.ts';
import { addRoundVerbs } from './verbs/round.ts';
import { addTaskVerbs } from './verbs/task.ts';
import { addTokenVerbs } from './verbs/token.ts';
import { addUpVerb } from './verbs/up.ts';

export function buildProgram(io: Io): Command {
  const program = new Command('carapace')
    .description('Federated learning: schedule rounds, run clients, serve model versions')
    .version(manifest.version)
    .enablePositionalOptions()
    .showHelpAfterError('(add --help for the options)')
    .exitOverride()
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 failed, 2 wrong use or document, 3 coordinator not reached, 4 refused, 130 interrupted.
Environment: CARAPACE_URL, CARAPACE_KEY (operator commands), CARAPACE_JOIN (client, aggregator), DATABASE_URL, REDIS_URL (coordinator).`,
    );
  addUpVerb(program, io);
  addCoordinatorVerb(program, io);
  addClientVerbs(program, io);
  addAggregatorVerb(program, io);
  addTaskVerbs(program, io);
  addRoundVerbs(program, io);
  addModelVerbs(program, io);
  addRosterVerbs(program, io);
  addBudgetVerbs(program, io);
  addAuditVerbs(program, io);
  addTokenVerbs(program, io);
  addPlanVerb(program, io);
  addPrivacyVerbs(program, io);
  addDoctorVerb(program, io);
  return program;
}
