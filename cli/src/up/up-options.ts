/** The options of `carapace up`, parsed once. */
import type { Protection } from '@carapace/aggregation';
import { SHIPPED_MODELS } from '@carapace/client-sdk';
import { CliError } from '../errors.ts';

export interface UpFlags {
  readonly rounds?: string;
  readonly clients: string;
  readonly exit?: boolean;
  readonly data: string;
  readonly port?: string;
  readonly model: string;
  readonly alpha: string;
  readonly seed: string;
  readonly epochs: string;
  readonly batchSize: string;
  readonly learningRate: string;
  readonly protection?: string;
  readonly epsilon?: string;
  readonly delta?: string;
  readonly clip?: string;
}

export interface UpOptions {
  /** Null trains until stopped. */
  readonly rounds: number | null;
  readonly clients: number;
  readonly exit: boolean;
  readonly dataDirectory: string;
  /** Null takes the usual port, or a free one when that is taken. */
  readonly port: number | null;
  readonly model: string;
  /** Dirichlet concentration; null spreads evenly. */
  readonly alpha: number | null;
  readonly seed: string;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly protection: Protection['kind'];
  /** Null trains without noise. */
  readonly privacy: { readonly epsilon: number; readonly delta: number; readonly clip: number } | null;
}

const EXIT_ROUNDS = 5;
/** Below, nothing is left to hide among. */
const SECAGG_CLIENTS = 3;

/** @throws CliError `USAGE_INVALID` naming the option, the value and what is allowed */
export function parseUpOptions(flags: UpFlags): UpOptions {
  const exit = flags.exit ?? false;
  if (!SHIPPED_MODELS.includes(flags.model))
    throw new CliError('USAGE_INVALID', `--model is "${flags.model}"; it may be ${SHIPPED_MODELS.join(', ')}`);
  const clients = whole('--clients', flags.clients, 1, 512);
  return {
    rounds: flags.rounds === undefined ? (exit ? EXIT_ROUNDS : null) : whole('--rounds', flags.rounds, 1, 1_000_000),
    clients,
    exit,
    dataDirectory: flags.data,
    port: flags.port === undefined ? null : whole('--port', flags.port, 0, 65_535),
    model: flags.model,
    alpha: flags.alpha === 'even' ? null : within('--alpha', flags.alpha, 0.01, 1e6),
    seed: flags.seed,
    epochs: whole('--epochs', flags.epochs, 1, 100),
    batchSize: whole('--batch-size', flags.batchSize, 1, 65_536),
    learningRate: within('--learning-rate', flags.learningRate, 1e-6, 100),
    protection: protectionOf(flags.protection, clients),
    privacy: privacyOf(flags, clients),
  };
}

/** Noise is shared among clients whose updates are hidden: in the clear each would stand there with a share alone. */
function privacyOf({ epsilon, delta, clip, protection }: UpFlags, clients: number): UpOptions['privacy'] {
  if (epsilon === undefined) {
    // Whoever names one of them believes that the run is private.
    const alone = delta === undefined ? (clip === undefined ? null : '--clip') : '--delta';
    if (alone === null) return null;
    throw new CliError('USAGE_INVALID', `${alone} is for --epsilon, without which no noise is added: name it too`);
  }
  if (protectionOf(protection, clients) === 'clear')
    throw new CliError('USAGE_INVALID', '--epsilon needs --protection secagg or shares, and 3 clients at least');
  return {
    epsilon: within('--epsilon', epsilon, 1e-3, 1e4),
    delta: within('--delta', delta ?? '1e-5', 1e-30, 0.1),
    clip: within('--clip', clip ?? '1', 1e-6, 1e6),
  };
}

function protectionOf(text: string | undefined, clients: number): UpOptions['protection'] {
  if (text === undefined) return clients < SECAGG_CLIENTS ? 'clear' : 'secagg';
  if (text !== 'secagg' && text !== 'shares' && text !== 'clear')
    throw new CliError('USAGE_INVALID', `--protection is "${text}"; it may be secagg, shares or clear`);
  if (text !== 'clear' && clients < SECAGG_CLIENTS)
    throw new CliError(
      'USAGE_INVALID',
      `secure aggregation needs ${SECAGG_CLIENTS} clients to hide among, not ${clients}`,
    );
  return text;
}

function whole(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text !== '' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new CliError('USAGE_INVALID', `${option} is "${text}"; allowed is a whole number from ${min} to ${max}`);
}

function within(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text !== '' && value >= min && value <= max) return value;
  throw new CliError('USAGE_INVALID', `${option} is "${text}"; allowed is a number from ${min} to ${max}`);
}
