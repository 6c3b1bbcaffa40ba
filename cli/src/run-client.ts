/** `carapace client`: a `FederatedClient` with the engine and the data of this host. */
import { DEFAULT_POLICY, engineTrainer, FederatedClient, openTrainingEngine } from '@carapace/client-sdk';
import type { ClientEvent, Policy } from '@carapace/client-sdk';
import type { RosterTrust, SharesTrust } from '@carapace/aggregation';
import { fromBase64url, parsePublicKey, systemRandom } from '@carapace/crypto';
import type { PublicKey } from '@carapace/crypto';
import { dataSourceOf } from './data-spec.ts';
import { CliError } from './errors.ts';
import { formatBytes, formatCount, formatSeconds } from './format.ts';
import type { Output } from './output.ts';
import type { Io } from './io.ts';

export interface ClientOptions {
  readonly join?: string;
  readonly data?: string;
  readonly state: string;
  readonly name: string;
  readonly maxEpochs?: number;
  readonly authority?: string;
  readonly aggregator?: string;
  readonly requireSecagg?: boolean;
  readonly minCohort?: number;
  readonly maxEpsilon?: number;
  readonly maxExampleEpsilon?: number;
  readonly delta?: number;
}

/** Under which the coordinator learns nothing but sums; of shares, those for an aggregator that is pinned, which is known when a round is assigned. */
const HIDING: Policy['protections'] = ['secagg', 'shares'];

export async function runClient({ output, signal, env }: Io, options: ClientOptions): Promise<void> {
  if (options.data === undefined)
    throw new CliError(
      'USAGE_INVALID',
      'name the data to train on: --data mnist, --data FILE.csv or --data MODULE.mjs',
    );
  const { maxEpochs = DEFAULT_POLICY.maxEpochs } = options;
  if (!Number.isInteger(maxEpochs) || maxEpochs < 1)
    throw new CliError('USAGE_INVALID', '--max-epochs must be a whole number above 0');
  const joinLink = options.join ?? env['CARAPACE_JOIN'];
  const client = new FederatedClient({
    stateDirectory: options.state,
    ...(joinLink === undefined ? {} : { joinLink }),
    name: options.name,
    ...pinsOf(options),
    policy: policyOf(options, maxEpochs),
    train: engineTrainer({ data: await dataSourceOf(options.data), engine: openTrainingEngine, random: systemRandom }),
    onEvent: (event) => tell(output, event),
  });
  await client.run(signal);
}

/** @throws CliError `USAGE_INVALID` */
export function pinsOf({ authority, aggregator }: Pick<ClientOptions, 'authority' | 'aggregator'>): {
  readonly authority?: PublicKey;
  readonly aggregator?: PublicKey;
} {
  return {
    ...(authority && { authority: keyOf('--authority', authority, 'carapace roster key') }),
    ...(aggregator && { aggregator: keyOf('--aggregator', aggregator, 'carapace aggregator') }),
  };
}

function policyOf(options: ClientOptions, maxEpochs: number): Policy {
  const { requireSecagg = false, minCohort } = options;
  const floor = DEFAULT_POLICY.secagg;
  if (minCohort !== undefined && (!Number.isInteger(minCohort) || minCohort < floor.minimumCohort))
    throw new CliError('USAGE_INVALID', `--min-cohort must be a whole number from ${floor.minimumCohort} on`);
  return {
    ...DEFAULT_POLICY,
    maxEpochs,
    privacy: limitOf('--max-epsilon', options.maxEpsilon, options.delta),
    examples: limitOf('--max-example-epsilon', options.maxExampleEpsilon, options.delta),
    protections: requireSecagg ? HIDING : DEFAULT_POLICY.protections,
    secagg: {
      ...floor,
      minimumCohort: minCohort ?? floor.minimumCohort,
      minimumSurvivors: minCohort ?? floor.minimumSurvivors,
    },
  };
}

/** @throws CliError `USAGE_INVALID` */
function limitOf(option: string, epsilon: number | undefined, delta = 1e-6): Policy['privacy'] {
  if (epsilon === undefined) return null;
  if (!(epsilon > 0 && epsilon <= 10_000)) throw new CliError('USAGE_INVALID', `${option} must be above 0`);
  if (!(delta >= 1e-30 && delta < 0.5)) throw new CliError('USAGE_INVALID', '--delta must be from 1e-30 to below 0.5');
  return { epsilon, delta };
}

function keyOf(option: string, text: string, printedBy: string): PublicKey {
  try {
    return parsePublicKey(fromBase64url(text));
  } catch (cause) {
    throw new CliError('USAGE_INVALID', `${option} is not a key: give what \`${printedBy}\` printed`, { cause });
  }
}

function tell(output: Output, event: ClientEvent): void {
  const { kind, ...rest } = event;
  output.object({ event: kind, at: Date.now(), ...rest });
  const text = describe(event);
  if (text !== null) output.line(`${new Date().toISOString().slice(11, 19)}  ${text}`);
}

function describe(event: ClientEvent): string | null {
  switch (event.kind) {
    case 'enrolled':
      return `joined ${event.coordinator} as ${event.client}`;
    case 'exposed':
      return `${event.coordinator} is plain HTTP to another host: what is sent can be read on the way. Put TLS in front`;
    case 'waiting':
      return 'waiting for a round';
    case 'assigned':
      return `${event.round}: selected, from ${event.model} version ${event.version}`;
    case 'note':
      return event.message;
    case 'invited':
      return `${event.round}: masks with ${event.cohort - 1} others, ${event.threshold} of ${event.cohort} needed to take them off (${event.mode}); ${trustText(event.trust)}`;
    case 'sharing':
      return `${event.round}: an update of ${event.cohort} in two shares, one for ${event.aggregator}; ${sharesText(event.trust)}`;
    case 'private':
      return `${event.round}: noise of ${event.noiseMultiplier} times the clip${ownText(event)}`;
    case 'private-examples':
      return `${event.round}: ${formatCount(event.steps)} steps with noise of ${event.noiseMultiplier} times the clip of an example${ownText(event)}`;
    case 'unmasked':
      return `${event.round}: helped to unmask the sum of ${event.survivors}`;
    case 'left-out':
      return `${event.round}: no further part in the sum: ${event.reason}`;
    case 'trained':
      return `${event.round}: trained on ${formatCount(event.examples)} examples in ${formatSeconds(event.seconds)}${metricsText(event.metrics)}`;
    case 'uploading':
      return `${event.round}: sending ${formatBytes(event.bytes)}`;
    case 'admitted':
      return `${event.round}: admitted`;
    case 'refused':
      return `${event.round}: refused (${event.code}); the update is dropped`;
    case 'declined':
      return `${event.round}: declined, ${event.reason}`;
    case 'retrying':
      return `again in ${formatSeconds(event.inMs / 1000)}: ${event.reason}`;
    case 'stopped':
      return 'stopped';
  }
}

function ownText({ epsilon, limit }: { readonly epsilon: number | null; readonly limit: number | null }): string {
  return epsilon === null || limit === null ? '' : `; given away by then: epsilon ${epsilon.toFixed(3)} of ${limit}`;
}

function sharesText({ roster, aggregator }: SharesTrust): string {
  const word =
    aggregator === 'pinned'
      ? 'it is the one that is pinned here'
      : 'that it is not the coordinator is the coordinator’s own word (pin it with --aggregator)';
  return `${word}; of the others, ${trustText(roster)}`;
}

export function trustText(trust: RosterTrust): string {
  return trust === 'authority'
    ? 'the pinned authority vouches for them'
    : 'that they exist is the coordinator’s own word (pin an authority with --authority)';
}

function metricsText(metrics: Readonly<Record<string, number>>): string {
  return Object.entries(metrics)
    .map(([name, value]) => `, ${name} ${value.toFixed(4)}`)
    .join('');
}
