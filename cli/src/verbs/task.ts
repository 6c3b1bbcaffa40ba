import type { Command } from 'commander';
import { parse as parseYaml } from 'yaml';
import { CliError } from '../errors.ts';
import type { TaskRecord } from '@carapace/coordinator';
import type { TaskList } from '../answers.ts';
import { formatTime, sheet, table } from '../format.ts';
import { readTextFile } from '../local-files.ts';
import { operatorVerb } from '../operator-verb.ts';
import type { Io } from '../io.ts';

export function addTaskVerbs(program: Command, io: Io): void {
  const task = program.command('task').description('What is learned: create, follow, pause, resume, stop');
  task.addCommand(
    operatorVerb(
      'create <file>',
      'Create a task from a YAML or JSON document (docs/task.md)',
      io,
      async (calls, [file = '']) => {
        const created = await calls.post<TaskRecord>('/v1/tasks', readDocument(file));
        io.output.result(created, () => `task ${created.task.name} is ${created.status}`);
      },
    ),
  );
  task.addCommand(
    operatorVerb('list', 'All tasks', io, async (calls) => {
      const answer = await calls.get<TaskList>('/v1/tasks');
      io.output.result(answer, () =>
        table(
          ['TASK', 'STATUS', 'MODEL', 'COHORT', 'ROUNDS', 'CREATED'],
          answer.tasks.map(({ task: of, status, createdAt }) => [
            of.name,
            status,
            of.model.name,
            `${of.cohort.minimum}-${of.cohort.target}`,
            String(of.rounds ?? 'until stopped'),
            formatTime(createdAt),
          ]),
        ),
      );
    }),
  );
  task.addCommand(
    operatorVerb('show <task>', 'One task, whole', io, async (calls, [name = '']) => {
      const found = await calls.get<TaskRecord>(`/v1/tasks/${encodeURIComponent(name)}`);
      io.output.result(found, () => taskSheet(found));
    }),
  );
  const steps = [
    ['pause', 'Open no further round; one that runs goes on'],
    ['resume', 'Open rounds again'],
    ['stop', 'End the task for good; a round that runs is abandoned'],
  ] as const;
  for (const [verb, description] of steps) {
    task.addCommand(
      operatorVerb(`${verb} <task>`, description, io, async (calls, [name = '']) => {
        const changed = await calls.post<TaskRecord>(`/v1/tasks/${encodeURIComponent(name)}/${verb}`);
        io.output.result(changed, () => `task ${changed.task.name} is ${changed.status}`);
      }),
    );
  }
}

function readDocument(file: string): unknown {
  try {
    return parseYaml(readTextFile(file));
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError('FILE_UNREADABLE', `${file} is not YAML: ${(cause as Error).message}`, { cause });
  }
}

function taskSheet({ task, status, createdAt, updatedAt }: TaskRecord): string {
  const { cohort, training, strategy, protection, schedule } = task;
  return sheet([
    ['task', task.name],
    ['status', `${status}, since ${formatTime(updatedAt)}`],
    ['model', task.model.name],
    [
      'cohort',
      `${cohort.target} wanted, ${cohort.minimum} needed, over-selection ${cohort.overSelection}, per site ${cohort.perSite ?? 'no cap'}`,
    ],
    [
      'deadlines',
      `selection ${cohort.selectionSeconds} s, report ${cohort.reportSeconds} s, grace ${cohort.graceSeconds} s`,
    ],
    [
      'training',
      `${training.epochs} epochs, batches of ${training.batchSize}, ${training.optimizer.kind} at ${training.optimizer.learningRate}, ${training.loss}`,
    ],
    ['strategy', `${strategy.kind}, server learning rate ${strategy.serverLearningRate}`],
    ['protection', protection.kind],
    ['schedule', scheduleText(schedule)],
    ['rounds', String(task.rounds ?? 'until stopped')],
    ['created', formatTime(createdAt)],
  ]);
}

function scheduleText(schedule: TaskRecord['task']['schedule']): string {
  if (schedule.kind === 'every') return `every ${schedule.seconds} s`;
  return schedule.kind === 'cron' ? `cron ${schedule.pattern}` : 'continuous';
}
