/** A whole round in shares mode in memory: clients, the coordinator and the second aggregator. */
import { generateSigningKey } from '@carapace/crypto';
import type { RandomSource, SigningKey } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import {
  decodeAggregation,
  DEFAULT_AGGREGATOR_FLOOR,
  encodeAggregation,
  encodeShares,
  encodeSharesSession,
  joinShares,
  judgeAggregatorKey,
  judgeShareInput,
  newClientId,
  openAggregator,
  openAggregatorKey,
  openRoster,
  openShares,
  parseRoundId,
  signRoster,
  sumRequest,
  sumShares,
  takeRequest,
} from '../src/index.ts';
import type { AggregatorStanding, AggregatorState, Deposit, SharesSession, SharesStanding } from '../src/index.ts';
import { digestOf } from './secagg.ts';
import type { Person } from './secagg.ts';

export interface SharesWorld {
  readonly random: RandomSource;
  readonly authority: SigningKey;
  readonly people: readonly Person[];
  readonly aggregator: Person;
  readonly roster: Uint8Array;
  readonly session: SharesSession;
}

const DEADLINE = 1_800_000_000_000;
const LOWEST = { ...DEFAULT_AGGREGATOR_FLOOR, minimumCohort: 3, minimumSurvivors: 3 };

/** A cohort of `clients` enrolled people, an aggregator, and a session for them. */
export function makeSharesWorld(
  seed: string | number,
  clients: number,
  change: Partial<SharesSession> = {},
): SharesWorld {
  const random = seededRandom(`shares/${seed}`);
  const authority = generateSigningKey(random);
  const person = (): Person => {
    const key = generateSigningKey(random);
    return { client: newClientId(random), identity: key.publicKey, key };
  };
  const people = Array.from({ length: clients }, person).sort((a, b) => (a.client < b.client ? -1 : 1));
  const aggregator = person();
  const roster = signRoster(authority, 1, people);
  const keys = { authority: authority.publicKey, coordinator: authority.publicKey };
  const session: SharesSession = {
    round: parseRoundId('mnist.7').id,
    attempt: 1,
    model: digestOf('weights'),
    work: digestOf('work'),
    values: 10,
    quantiser: { clip: 1, bits: 8, maxWeight: 1000 },
    minimumSurvivors: 3,
    deadline: DEADLINE,
    aggregator: { client: aggregator.client, identity: aggregator.identity },
    roster: openRoster(roster, keys).roster.digest,
    cohort: people.map(({ client, identity }) => ({ client, identity })),
    ...change,
  };
  return { random, authority, people, aggregator, roster, session };
}

export function sharesStandingOf(
  world: SharesWorld,
  member: number,
  change: Partial<SharesStanding> = {},
): SharesStanding {
  const { client, key } = world.people[member]!;
  const { model, work, values } = world.session;
  return {
    client,
    identity: key,
    rosterKeys: { authority: world.authority.publicKey, coordinator: world.authority.publicKey },
    aggregator: world.aggregator.identity,
    floor: LOWEST,
    model,
    work,
    values,
    ...change,
  };
}

/** By its clock the session has an hour to go. */
export function aggregatorStandingOf(
  { aggregator, authority }: SharesWorld,
  change: Partial<AggregatorStanding> = {},
): AggregatorStanding {
  const rosterKeys = { authority: authority.publicKey, coordinator: authority.publicKey };
  const { client, key: identity } = aggregator;
  return { client, identity, rosterKeys, floor: LOWEST, now: DEADLINE - 3_600_000, ...change };
}

/** As it reads it after a crash. */
export function reloaded(state: AggregatorState): AggregatorState {
  const kept = decodeAggregation(encodeAggregation(state));
  if (kept.kind === 'forgotten') throw new Error('a state that has its secret reads back without');
  return kept;
}

/** The aggregator with its key for the session. @throws when it refuses */
export function aggregatorOf(world: SharesWorld, change: Partial<AggregatorStanding> = {}): AggregatorState {
  const { session, roster } = world;
  const standing = aggregatorStandingOf(world, change);
  const opened = openAggregator({ session: encodeSharesSession(session), roster }, standing, world.random);
  if (opened.kind === 'refused') throw new Error(`${opened.code}: ${opened.why}`);
  return reloaded(opened.state);
}

/** The one message of a member. @throws when it refuses */
export function inputOf(world: SharesWorld, member: number, lanes: Uint32Array, key: Uint8Array): Uint8Array {
  const invitation = { session: encodeSharesSession(world.session), roster: world.roster };
  const part = joinShares(invitation, sharesStandingOf(world, member));
  if (part.kind === 'refused') throw new Error(`${part.code}: ${part.why}`);
  const opened = openAggregatorKey(part.value.session, key);
  if (opened.kind === 'refused') throw new Error(`${opened.code}: ${opened.why}`);
  return encodeShares(part.value, opened.value, lanes, world.people[member]!.key, world.random);
}

/** The aggregator's answer to a request, reloaded from its stored state before it is given. @throws when it refuses */
export function addUp(state: AggregatorState, request: Uint8Array): { state: AggregatorState; answer: Uint8Array } {
  const taken = takeRequest(state, request);
  if (taken.kind === 'refused') throw new Error(`${taken.code}: ${taken.why}`);
  const sums = sumShares(taken.state.session, taken.seeds);
  for (;;) {
    const { done, value } = sums.next();
    if (done === true) return { state: reloaded(taken.state), answer: value };
  }
}

/** The sum of those who are present, or why there is none. @param spoiled of these members the aggregator cannot open the share */
export function runShares(
  world: SharesWorld,
  lanes: readonly Uint32Array[],
  present: readonly number[],
  spoiled: ReadonlySet<number> = new Set(),
): { readonly members: readonly number[]; readonly sums: Uint32Array | undefined } {
  const { session } = world;
  const state = aggregatorOf(world);
  const refused = judgeAggregatorKey(session, state.outbox);
  if (refused !== null) throw new Error(`${refused.code}: ${refused.why}`);
  const inputs = new Map(present.map((member) => [member, inputOf(world, member, lanes[member]!, state.outbox)]));
  const deposits = [...inputs].map(([member, input]): Deposit => {
    const judged = judgeShareInput(session, member, input);
    if (judged.kind === 'refused') throw new Error(`${judged.code}: ${judged.why}`);
    const { deposit } = judged;
    return spoiled.has(member) ? { ...deposit, sealedSeed: deposit.sealedSeed.map((byte) => byte ^ 1) } : deposit;
  });
  const { answer } = addUp(state, sumRequest(session, deposits));
  const opening = openShares(session, present, answer);
  const members = present.filter((member) => !spoiled.has(member));
  for (const member of members) opening.add(member, inputs.get(member)!);
  if (opening.inputs !== members.length) throw new Error('an input was not counted');
  return { members, sums: opening.open() };
}
