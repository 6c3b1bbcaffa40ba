/** `carapace aggregator`: a `ShareAggregator` on this host. */
import { DEFAULT_AGGREGATOR_FLOOR } from '@carapace/aggregation';
import { ShareAggregator } from '@carapace/client-sdk';
import type { AggregatorEvent } from '@carapace/client-sdk';
import { CliError } from './errors.ts';
import { formatSeconds } from './format.ts';
import type { Io } from './io.ts';
import type { Output } from './output.ts';
import { pinsOf, trustText } from './run-client.ts';

export interface AggregatorOptions {
  readonly join?: string;
  readonly state: string;
  readonly name: string;
  readonly authority?: string;
  readonly minCohort?: number;
}

export async function runAggregator({ output, signal, env }: Io, options: AggregatorOptions): Promise<void> {
  const { minCohort, authority } = options;
  const floor = DEFAULT_AGGREGATOR_FLOOR;
  if (minCohort !== undefined && (!Number.isInteger(minCohort) || minCohort < floor.minimumCohort))
    throw new CliError('USAGE_INVALID', `--min-cohort must be a whole number from ${floor.minimumCohort} on`);
  const joinLink = options.join ?? env['CARAPACE_JOIN'];
  const aggregator = new ShareAggregator({
    stateDirectory: options.state,
    ...(joinLink === undefined ? {} : { joinLink }),
    name: options.name,
    ...pinsOf(authority === undefined ? {} : { authority }),
    floor: {
      ...floor,
      minimumCohort: minCohort ?? floor.minimumCohort,
      minimumSurvivors: minCohort ?? floor.minimumSurvivors,
    },
    onEvent: (event) => tell(output, event),
  });
  await aggregator.run(signal);
}

function tell(output: Output, event: AggregatorEvent): void {
  const { kind, ...rest } = event;
  output.object({ event: kind, at: Date.now(), ...rest });
  for (const text of describe(event)) output.line(`${new Date().toISOString().slice(11, 19)}  ${text}`);
}

function describe(event: AggregatorEvent): readonly string[] {
  switch (event.kind) {
    case 'enrolled':
      return [`joined ${event.coordinator} as ${event.client}`];
    case 'exposed':
      return [`${event.coordinator} is plain HTTP to another host: put TLS in front`];
    case 'ready':
      return [
        'waiting for rounds. Tasks that share updates between the coordinator and this aggregator say',
        `  "protection": { "kind": "shares", "aggregator": "${event.client}" }`,
        'and their clients pin it with',
        `  --aggregator ${event.key}`,
      ];
    case 'keyed':
      return [
        `${event.round}: a key for ${event.cohort} clients, for one sum of ${event.minimumSurvivors} at least; ${trustText(event.trust)}`,
      ];
    case 'summed':
      return [
        `${event.round}: told the sum of ${event.members} shares in ${formatSeconds(event.seconds)}${unopened(event)}`,
      ];
    case 'declined':
      return [`${event.round}: declined, ${event.reason}`];
    case 'left-out':
      return [`${event.round}: goes on without this aggregator: ${event.reason}`];
    case 'note':
      return [event.message];
    case 'retrying':
      return [`again in ${formatSeconds(event.inMs / 1000)}: ${event.reason}`];
    case 'stopped':
      return ['stopped'];
  }
}

function unopened({ members, asked }: { readonly members: number; readonly asked: number }): string {
  return members === asked ? '' : `; ${asked - members} did not open and are not in it`;
}
