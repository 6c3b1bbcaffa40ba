import type { Command } from 'commander';
import { formatTime, table } from '../format.ts';
import type { Client, ClientList } from '../answers.ts';
import { operatorVerb } from '../operator-verb.ts';
import type { Io } from '../io.ts';
import type { ClientOptions } from '../run-client.ts';

export function addClientVerbs(program: Command, io: Io): void {
  const client = program
    .command('client')
    .description('Take part with the data of this host, until stopped; or, as an operator, list and revoke clients')
    .enablePositionalOptions()
    .option('--join <link>', 'join link, needed the first time (or CARAPACE_JOIN)')
    .option(
      '--data <source>',
      'mnist[?part=0&parts=8&alpha=0.5&seed=1], FILE.csv[?label=NAME&scale=N], or a module FILE.mjs',
    )
    .option('--state <directory>', 'key, membership and journal of this client', '.carapace-client')
    .option('--name <name>', 'for the operator’s list', 'client')
    .option('--max-epochs <count>', 'decline rounds that ask for more local epochs', Number)
    .option(
      '--require-secagg',
      'take part only where the coordinator learns nothing but sums: secure aggregation, or shares with a pinned aggregator',
    )
    .option('--min-cohort <count>', 'take part in secure aggregation only with so many clients to hide among', Number)
    .option(
      '--authority <key>',
      'pin the enrolment authority that vouches for the other clients (`carapace roster key`)',
    )
    .option('--max-epsilon <number>', 'give away no more than this, by this device’s own count', Number)
    .option(
      '--max-example-epsilon <number>',
      'give away no more than this of each example: train with noise alone, and count it',
      Number,
    )
    .option('--delta <number>', 'with --max-epsilon and --max-example-epsilon (1e-6)', Number)
    .option(
      '--aggregator <key>',
      'pin the second aggregator of tasks that share updates between two (`carapace aggregator` prints it)',
    )
    .option('--json', 'one JSON object a line as things happen')
    .action(async (options: ClientOptions) => {
      const { runClient } = await import('../run-client.ts');
      await runClient(io, options);
    });
  client.addCommand(
    operatorVerb('list', 'All clients', io, async (calls) => {
      const answer = await calls.get<ClientList>('/v1/clients');
      io.output.result(answer, () =>
        table(
          ['CLIENT', 'NAME', 'SITE', 'STATUS', 'LAST SEEN'],
          answer.clients.map(({ id, name, site, status, lastSeenAt, revokedReason }) => [
            id,
            name,
            site,
            revokedReason === null ? status : `${status}: ${revokedReason}`,
            formatTime(lastSeenAt),
          ]),
        ),
      );
    }),
  );
  client.addCommand(
    operatorVerb<{ readonly reason: string }>(
      'revoke <client>',
      'Shut a client out for good',
      io,
      async (calls, [id = ''], { reason }) => {
        const revoked = await calls.post<Client>(`/v1/clients/${encodeURIComponent(id)}/revoke`, { reason });
        io.output.result(revoked, () => `${revoked.id} (${revoked.name}) is revoked`);
      },
    ).requiredOption('--reason <text>', 'why, for the audit'),
  );
}
