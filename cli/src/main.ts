/** `carapace`: from arguments to an exit code. */
import { CommanderError } from 'commander';
import { explain, exitCodeOf } from './errors.ts';
import { Output } from './output.ts';
import { buildProgram } from './program.ts';
import { untilInterrupted } from './interrupt.ts';

/** 0 done, 1 failed, 2 wrong use or document, 3 coordinator not reached, 4 refused, 130 interrupted before it was done. */
export async function main(args: readonly string[]): Promise<number> {
  const output = new Output(process.stdout, process.stderr, args.includes('--json'));
  const interrupt = untilInterrupted();
  try {
    await buildProgram({ output, signal: interrupt.signal, env: process.env }).parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has printed its own complaint, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (interrupt.signal.aborted) return 130;
    output.error(explain(error));
    return exitCodeOf(error);
  } finally {
    interrupt.release();
  }
}
