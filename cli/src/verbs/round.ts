import type { Command } from 'commander';
import { formatSeconds, formatTime, sheet, table } from '../format.ts';
import type { RoundEventRecord, RoundRecord } from '@carapace/coordinator';
import type { RoundList, RoundPage } from '../answers.ts';
import { operatorVerb, positiveInteger } from '../operator-verb.ts';
import type { Io } from '../io.ts';

export function addRoundVerbs(program: Command, io: Io): void {
  const round = program.command('round').description('Rounds of a task, with their time lines and reasons');
  round.addCommand(
    operatorVerb<{ readonly limit: number }>(
      'list <task>',
      'Rounds of a task, newest first',
      io,
      async (calls, [task = ''], { limit }) => {
        const answer = await calls.get<RoundList>(`/v1/tasks/${encodeURIComponent(task)}/rounds?limit=${limit}`);
        io.output.result(answer, () =>
          table(
            ['ROUND', 'STATE', 'REPORTED', 'FROM VERSION', 'OPENED', 'TOOK'],
            answer.rounds.map(({ id, state, baseVersion, createdAt, updatedAt }) => [
              id,
              stateText(state),
              'reported' in state ? String(state.reported) : '-',
              String(baseVersion),
              formatTime(createdAt),
              isOver(state) ? formatSeconds((updatedAt - createdAt) / 1000) : '-',
            ]),
          ),
        );
      },
    ).option('--limit <count>', 'how many', positiveInteger, 20),
  );
  round.addCommand(
    operatorVerb('show <round>', 'One round: state, participants, time line', io, async (calls, [id = '']) => {
      const found = await calls.get<RoundPage>(`/v1/rounds/${encodeURIComponent(id)}`);
      io.output.result(found, () => roundPage(found));
    }),
  );
}

function stateText(state: RoundRecord['state']): string {
  return state.kind === 'abandoned' ? `${state.kind}: ${state.reason}` : state.kind;
}

function isOver({ kind }: RoundRecord['state']): boolean {
  return kind === 'completed' || kind === 'abandoned';
}

function roundPage({ round, participants, timeline }: RoundPage): string {
  const head = sheet([
    ['round', round.id],
    ['state', stateText(round.state)],
    ['from version', String(round.baseVersion)],
    ['opened', formatTime(round.createdAt)],
    ['changed', formatTime(round.updatedAt)],
  ]);
  const people = table(
    ['CLIENT', 'STATUS', 'SINCE', 'REASON'],
    participants.map(({ client, status, updatedAt, reason }) => [client, status, formatTime(updatedAt), reason ?? '']),
  );
  const events = timeline.map(({ at, kind, detail }) => {
    const after = `+${formatSeconds((at - round.createdAt) / 1000)}`;
    return `${after.padStart(10)}  ${kind}${detailText(detail)}`;
  });
  return [head, '', 'PARTICIPANTS', people, '', 'TIME LINE', ...events].join('\n');
}

function detailText(detail: RoundEventRecord['detail']): string {
  const members = Object.entries(detail).map(
    ([key, value]) => `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return members.length === 0 ? '' : `  (${members.join(', ')})`;
}
