import type { Command } from 'commander';
import { formatTime, table } from '../format.ts';
import type { Token, TokenList } from '../answers.ts';
import { operatorVerb, positiveInteger } from '../operator-verb.ts';
import type { Io } from '../io.ts';

interface CreateOptions {
  readonly site: string;
  readonly ttl: number;
  readonly publicUrl?: string;
}

export function addTokenVerbs(program: Command, io: Io): void {
  const token = program.command('token').description('Enrolment tokens: one lets one client join, once');
  token.addCommand(
    operatorVerb<CreateOptions>(
      'create',
      'A token, and the join link to hand to whoever runs the client',
      io,
      async (calls, _args, options) => {
        const { site, ttl, publicUrl = calls.url } = options;
        const { formatJoinLink } = await import('@carapace/client-sdk');
        const created = await calls.post<Token & { readonly token: string }>('/v1/tokens', { site, ttlSeconds: ttl });
        const joinLink = formatJoinLink(publicUrl, created.token);
        io.output.result({ ...created, joinLink }, () =>
          [
            `join link, for one client, until ${formatTime(created.expiresAt)}; it is shown this once:`,
            '',
            `  ${joinLink}`,
            '',
            `On the client's host: carapace client --join '<link>' --data <source>`,
          ].join('\n'),
        );
      },
    )
      .option('--site <name>', 'who owns the host: for caps per site', 'default')
      .option('--ttl <seconds>', 'how long it may be used', positiveInteger, 3600)
      .option('--public-url <url>', 'the coordinator as the client reaches it'),
  );
  token.addCommand(
    operatorVerb('list', 'Tokens, without their secrets', io, async (calls) => {
      const answer = await calls.get<TokenList>('/v1/tokens');
      io.output.result(answer, () =>
        table(
          ['TOKEN', 'SITE', 'STATE', 'EXPIRES'],
          answer.tokens.map((of) => [of.id, of.site, stateOf(of), formatTime(of.expiresAt)]),
        ),
      );
    }),
  );
}

function stateOf({ usedBy, usedAt, revokedAt }: Token): string {
  if (usedAt !== null) return `used by ${usedBy ?? 'a client'}`;
  return revokedAt === null ? 'open' : 'revoked';
}
