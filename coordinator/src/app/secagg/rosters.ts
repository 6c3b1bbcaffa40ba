/**
 * Rosters that an enrolment authority signed. The coordinator keeps and serves them; it cannot check them, because the
 * authority's key is pinned by the clients alone. While there is one, only clients that it lists are selected.
 */
import { readRoster } from '@carapace/aggregation';
import type { Roster } from '@carapace/aggregation';
import { equalBytes } from '@carapace/crypto';
import type { Candidate } from '../../domain/round.ts';
import { CoordinatorError } from '../../errors.ts';
import type { Records, RosterRecord } from '../../ports.ts';
import type { Actor } from '../api.ts';
import type { Context } from '../context.ts';
import { audit } from '../versions.ts';

/** @throws CoordinatorError `ROSTER_OLD`, AggregationError `MESSAGE_INVALID` */
export async function publishRoster(ctx: Context, bytes: Uint8Array, actor: Actor): Promise<RosterRecord> {
  const { digest, serial, members } = readRoster(bytes);
  const now = ctx.clock.now();
  await ctx.store.transaction('publish_roster', async (records) => {
    const known = await records.findRoster();
    if (known?.digest === digest) return;
    if (!(await records.insertRoster({ digest, serial, bytes }, now)))
      throw new CoordinatorError('ROSTER_OLD', `serial ${serial} is not above ${known?.serial ?? 0}, the newest`);
    await audit(records, now, actor, 'roster.publish', digest, { serial, members: members.length });
  });
  return requireRoster(ctx);
}

/** @throws CoordinatorError `ROSTER_NOT_FOUND` */
export async function requireRoster(ctx: Context): Promise<RosterRecord> {
  const roster = await ctx.store.findRoster();
  if (roster === null) throw new CoordinatorError('ROSTER_NOT_FOUND', 'no roster was published here');
  return roster;
}

/** Those of the candidates whom the published roster lists under the key they enrolled with; all, where there is none. */
export async function onRoster(records: Records, waiting: readonly Candidate[]): Promise<readonly Candidate[]> {
  const published = await records.findRoster();
  if (published === null) return waiting;
  const identities = identitiesOf(readRoster(published.bytes));
  const keys = await records.listClientKeys(waiting.map(({ client }) => client));
  const listed = new Set(
    keys.flatMap(({ client, publicKey }) => {
      const identity = identities.get(client);
      return identity !== undefined && equalBytes(identity, publicKey) ? [client] : [];
    }),
  );
  return waiting.filter(({ client }) => listed.has(client));
}

function identitiesOf({ members }: Roster): ReadonlyMap<string, Uint8Array> {
  return new Map(members.map(({ client, identity }) => [client, identity]));
}
