import type { Command } from 'commander';
import { formatTime, sheet } from '../format.ts';
import { operatorVerb, positiveInteger } from '../operator-verb.ts';
import type { Io } from '../io.ts';

interface SignOptions {
  readonly key: string;
  readonly serial: number;
  readonly clients: string;
  readonly out: string;
}

interface RosterAnswer {
  readonly digest: string;
  readonly serial: number;
  readonly publishedAt: number;
  readonly roster: string;
}

export function addRosterVerbs(program: Command, io: Io): void {
  const roster = program
    .command('roster')
    .description(
      'Who may be in a cohort of secure aggregation, under the signature of an authority that is not the coordinator',
    );
  roster
    .command('key <file>')
    .description(
      'Make the key of an enrolment authority; keep the file where the coordinator is not, and hand the printed key to every client',
    )
    .option('--json', 'one JSON object instead of text')
    .exitOverride()
    .action(async (file: string) => {
      const { makeAuthority } = await import('../authority.ts');
      const authority = makeAuthority(file);
      io.output.result({ file, authority }, () =>
        [`the authority's key is in ${file}; clients pin it with`, '', `  --authority ${authority}`].join('\n'),
      );
    });
  roster
    .command('sign <list>')
    .description(
      'Sign the clients of a file that you have checked: what `carapace client list --json` printed, less those you do not know',
    )
    .requiredOption('--key <file>', 'the authority’s key')
    .requiredOption('--serial <number>', 'counts up with every edition', positiveInteger)
    .option('--out <file>', 'where the roster goes', 'roster.bin')
    .option('--json', 'one JSON object instead of text')
    .exitOverride()
    .action(async (list: string, { key, serial, out }: SignOptions) => {
      const { signClients } = await import('../authority.ts');
      const signed = signClients({ list, key, serial, out });
      io.output.result(
        signed,
        () => `${signed.clients} clients, serial ${signed.serial}, in ${out}: carapace roster publish ${out}`,
      );
    });
  roster.addCommand(
    operatorVerb(
      'publish <file>',
      'Give the coordinator a signed roster: cohorts are taken from it from now on',
      io,
      async (calls, [file = '']) => {
        const { readRosterFile } = await import('../authority.ts');
        const published = await calls.put<RosterAnswer>('/v1/roster', { roster: readRosterFile(file) });
        io.output.result(published, () => rosterText(published));
      },
    ),
  );
  roster.addCommand(
    operatorVerb('show', 'The roster in force', io, async (calls) => {
      const { listRoster } = await import('../authority.ts');
      const found = await calls.get<RosterAnswer>('/v1/roster');
      const members = listRoster(found.roster);
      io.output.result({ ...found, members }, () =>
        [rosterText(found), '', ...members.map(({ client, identity }) => `${client}  ${identity}`)].join('\n'),
      );
    }),
  );
}

function rosterText({ digest, serial, publishedAt }: RosterAnswer): string {
  return sheet([
    ['serial', String(serial)],
    ['digest', digest],
    ['published', formatTime(publishedAt)],
  ]);
}
