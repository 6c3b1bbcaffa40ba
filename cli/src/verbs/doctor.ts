import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import type { Io } from '../io.ts';
import { readEndpoint } from '../local-files.ts';

export function addDoctorVerb(program: Command, io: Io): void {
  program
    .command('doctor')
    .description('Check what this host needs to run a coordinator or a client, and say how to mend it')
    .option('--data <directory>', 'data directory to check', '.carapace')
    .option('--url <url>', 'a coordinator to reach (CARAPACE_URL, else the one of the data directory)')
    .option('--json', 'one JSON object instead of text')
    .action(async ({ data, url }: { readonly data: string; readonly url?: string }) => {
      const address = url ?? io.env['CARAPACE_URL'] ?? readEndpoint(data)?.url;
      const { examine } = await import('../doctor.ts');
      const checks = await examine(data, address);
      const ok = checks.every((check) => check.ok);
      io.output.result({ ok, checks }, () =>
        checks.map((check) => `${check.ok ? 'ok  ' : 'FAIL'}  ${check.what.padEnd(17)} ${check.detail}`).join('\n'),
      );
      if (!ok) throw new CliError('RUN_FAILED', 'something is missing: see above');
    });
}
