/** What every verb that asks a coordinator has in common: where it is, with which key, in which voice. */
import { Command, InvalidArgumentError } from 'commander';
import { operatorCalls } from './operator-calls.ts';
import type { ConnectionOptions, OperatorCalls } from './operator-calls.ts';
import type { Io } from './io.ts';

/** The arguments of the command line in their order, then its options. */
type Action<Options> = (calls: OperatorCalls, args: readonly string[], options: Options) => Promise<void>;

export function operatorVerb<Options>(usage: string, description: string, io: Io, action: Action<Options>): Command {
  const [name, ...parameters] = usage.split(' ');
  const command = new Command(name);
  for (const parameter of parameters) command.argument(parameter);
  return command
    .description(description)
    .option('--url <url>', 'the coordinator (CARAPACE_URL, else the one of the data directory)')
    .option('--key-file <file>', 'file with an API key (CARAPACE_KEY, else the data directory’s admin key)')
    .option('--data <directory>', 'data directory of a coordinator on this host', '.carapace')
    .option('--json', 'one JSON object instead of text')
    .exitOverride()
    .action(async (...given: unknown[]) => {
      const command = given.at(-1) as Command;
      const options = command.opts<ConnectionOptions & Options>();
      await action(operatorCalls(options, io.env, io.signal), command.args, options);
    });
}

/** A positive whole number among the options. */
export function positiveInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('must be a whole number above 0');
}
