/** A whole round in seal mode in memory: clients, the coordinator and a committee of key holders. */
import { generateSigningKey, sha256 } from '@carapace/crypto';
import type { Bgv, RandomSource, SigningKey } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import {
  agreedKey,
  commitKey,
  confirmKey,
  dealShares,
  decodeHolder,
  DEFAULT_AGGREGATOR_FLOOR,
  encodeHolder,
  encodeSealSession,
  encryptInput,
  holderList,
  joinAsHolder,
  joinSeal,
  judgeSealInput,
  maskOfInput,
  newClientId,
  openingRequest,
  openMaskTally,
  openRoster,
  openRoundKey,
  openSealedSum,
  openSealSum,
  openShare,
  openSoleKey,
  parseRoundId,
  roundKey,
  sealDelivery,
  signRoster,
  takeOpening,
} from '../src/index.ts';
import type {
  AgreedKey,
  ByHolder,
  ClosedSum,
  CommittedHolder,
  Contribution,
  DealtHolder,
  HolderStanding,
  KeyedHolder,
  LiveHolder,
  SealSession,
  SealStanding,
} from '../src/index.ts';
import { digestOf } from './secagg.ts';
import type { Person } from './secagg.ts';

export interface SealWorld {
  readonly random: RandomSource;
  readonly authority: SigningKey;
  readonly people: readonly Person[];
  readonly committee: readonly Person[];
  readonly roster: Uint8Array;
  readonly session: SealSession;
}

const DEADLINE = 1_800_000_000_000;
const LOWEST = { ...DEFAULT_AGGREGATOR_FLOOR, minimumCohort: 3, minimumSurvivors: 3 };

/** A cohort of `clients` enrolled people, a committee of three of whom two open a sum, and a session for them. */
export function makeSealWorld(seed: string | number, clients: number, change: Partial<SealSession> = {}): SealWorld {
  const random = seededRandom(`seal/${seed}`);
  const authority = generateSigningKey(random);
  const person = (): Person => {
    const key = generateSigningKey(random);
    return { client: newClientId(random), identity: key.publicKey, key };
  };
  const group = (size: number): Person[] =>
    Array.from({ length: size }, person).sort((a, b) => (a.client < b.client ? -1 : 1));
  const people = group(clients);
  const committee = group(change.arrangement === 'holder' ? 1 : 3);
  const roster = signRoster(authority, 1, people);
  const keys = { authority: authority.publicKey, coordinator: authority.publicKey };
  const session: SealSession = {
    round: parseRoundId('mnist.7').id,
    attempt: 1,
    model: digestOf('weights'),
    work: digestOf('work'),
    values: 10,
    quantiser: { clip: 1, bits: 8, maxWeight: 1000 },
    minimumSurvivors: 3,
    deadline: DEADLINE,
    holders: committee.map(({ client, identity }) => ({ client, identity })),
    arrangement: 'committee',
    threshold: 2,
    profile: 'n8192-120',
    roster: openRoster(roster, keys).roster.digest,
    cohort: people.map(({ client, identity }) => ({ client, identity })),
    ...change,
  };
  return { random, authority, people, committee, roster, session };
}

export function sealStandingOf(world: SealWorld, member: number, change: Partial<SealStanding> = {}): SealStanding {
  const { client, key } = world.people[member]!;
  const { model, work, values, holders } = world.session;
  return {
    client,
    identity: key,
    rosterKeys: { authority: world.authority.publicKey, coordinator: world.authority.publicKey },
    holders: holders.map(({ identity }) => identity),
    floor: LOWEST,
    model,
    work,
    values,
    ...change,
  };
}

/** By its clock the session has an hour to go. */
export function holderStandingOf(
  { committee, authority }: SealWorld,
  number: number,
  change: Partial<HolderStanding> = {},
): HolderStanding {
  const rosterKeys = { authority: authority.publicKey, coordinator: authority.publicKey };
  const { client, key: identity } = committee[number - 1]!;
  return { client, identity, rosterKeys, floor: LOWEST, now: DEADLINE - 3_600_000, ...change };
}

/** As it reads it after a crash. */
export function reloadedHolder<T extends LiveHolder>(state: T): T {
  const kept = decodeHolder(encodeHolder(state));
  if (kept.kind !== state.kind) throw new Error(`a state of kind ${state.kind} reads back as ${kept.kind}`);
  return kept as T;
}

export function identityOf({ committee }: SealWorld, number: number): SigningKey {
  return committee[number - 1]!.key;
}

/** @throws when it refuses */
export function committedHolder(world: SealWorld, bgv: Bgv, number: number): CommittedHolder {
  const invitation = { session: encodeSealSession(world.session), roster: world.roster };
  const joined = accepted(joinAsHolder(invitation, holderStandingOf(world, number)));
  return reloadedHolder(commitKey(bgv, joined, identityOf(world, number), world.random));
}

export interface Committee {
  readonly list: Uint8Array;
  readonly deals: ByHolder;
  readonly agreed: AgreedKey;
  readonly holders: ReadonlyMap<number, KeyedHolder>;
  /** What clients get. */
  readonly key: Uint8Array;
}

/** The holders that deal, up to a key that each has a share of. @throws when one refuses */
export function dealtHolders(
  world: SealWorld,
  committed: readonly CommittedHolder[],
): { readonly list: Uint8Array; readonly dealt: readonly DealtHolder[] } {
  const list = holderList(world.session, outboxes(committed));
  const dealt = committed.map((state) =>
    reloadedHolder(accepted(dealShares(state, list, identityOf(world, state.number), world.random)).state),
  );
  return { list, dealt };
}

/** A committee with its key. @param present who takes part, of the session's holders */
export function committeeOf(world: SealWorld, bgv: Bgv, present: readonly number[]): Committee {
  const { session } = world;
  const { list, dealt } = dealtHolders(
    world,
    present.map((number) => committedHolder(world, bgv, number)),
  );
  const deals = outboxes(dealt);
  const agreed = agreedKey(bgv, session, list, deals);
  const keyed = dealt.map((state) => {
    const message = sealDelivery(session, deals, state.number);
    return reloadedHolder(accepted(confirmKey(bgv, state, message, identityOf(world, state.number))).state);
  });
  const key = roundKey(session, agreed, outboxes(keyed));
  return { list, deals, agreed, holders: new Map(keyed.map((state) => [state.number, state])), key };
}

/** The one message of a member. @throws when it refuses */
export function sealInputOf(
  world: SealWorld,
  bgv: Bgv,
  member: number,
  lanes: Uint32Array,
  key: Uint8Array,
): Uint8Array {
  const invitation = { session: encodeSealSession(world.session), roster: world.roster };
  const part = agreedValue(joinSeal(invitation, sealStandingOf(world, member)));
  const { session } = part;
  const publicKey = agreedValue(
    session.arrangement === 'holder' ? openSoleKey(session, key) : openRoundKey(bgv, session, key),
  );
  return encryptInput(bgv, part, publicKey, lanes, world.people[member]!.key);
}

/** What the coordinator has of some members' inputs: their receipts, and the sum that is to be opened. */
export function closedSum(
  world: SealWorld,
  bgv: Bgv,
  { agreed }: { readonly agreed: Pick<AgreedKey, 'publicKey'> },
  inputs: ReadonlyMap<number, Uint8Array>,
  quorum: readonly number[],
): ClosedSum & { readonly contributions: readonly Contribution[] } {
  const { session } = world;
  const { publicKey } = agreed;
  const sum = openSealSum(bgv, session, publicKey);
  const contributions = [...inputs].map(([member, input]): Contribution => {
    const judged = judgeSealInput(bgv, session, publicKey, member, input);
    if (judged.kind === 'refused') throw new Error(`${judged.code}: ${judged.why}`);
    for (const _ of sum.adding(member, input));
    return judged.contribution;
  });
  const closed = sum.close();
  sum.free();
  const bodyDigest = sha256(closed.body);
  return { ...closed, contributions, request: openingRequest(session, { quorum, bodyDigest, contributions }) };
}

/** A holder's answer, reloaded from its stored state before it is given. @throws when it refuses */
export function answerOf(
  world: SealWorld,
  bgv: Bgv,
  state: KeyedHolder,
  request: Uint8Array,
  inputs: ReadonlyMap<number, Uint8Array>,
): { readonly state: KeyedHolder; readonly answer: Uint8Array } {
  const taken = accepted(takeOpening(state, request));
  const kept = reloadedHolder(taken.state);
  if (kept.kind !== 'keyed') throw new Error('a holder that has no share');
  const tally = openMaskTally(bgv, taken.request);
  try {
    for (const { member } of taken.request.contributions) {
      const refused = tally.add(member, maskOfInput(world.session, inputs.get(member)!));
      if (refused !== null) throw new Error(`${refused.code}: ${refused.why}`);
    }
    const work = openShare(bgv, { ...taken, state: kept }, tally.sum(), identityOf(world, state.number));
    for (;;) {
      const step = work.next();
      if (step.done === true) return { state: kept, answer: step.value };
    }
  } finally {
    tally.free();
  }
}

/** The sum of some members' inputs, or undefined when there is none. */
export function openedBy(
  world: SealWorld,
  bgv: Bgv,
  committee: Committee,
  inputs: ReadonlyMap<number, Uint8Array>,
  quorum: readonly number[],
): Uint32Array | undefined {
  const sum = closedSum(world, bgv, committee, inputs, quorum);
  const answers = quorum.map((number): [number, Uint8Array] => {
    const state = committee.holders.get(number)!;
    return [number, answerOf(world, bgv, state, sum.request, inputs).answer];
  });
  return openSealedSum(bgv, world.session, sum, new Map(answers));
}

export function outboxes(states: readonly LiveHolder[]): ReadonlyMap<number, Uint8Array> {
  return new Map(states.map(({ number, outbox }) => [number, outbox]));
}

function accepted<T extends { readonly kind: string }>(outcome: T): Extract<T, { readonly kind: 'done' }> {
  if (outcome.kind !== 'done') throw new Error(JSON.stringify(outcome));
  return outcome as Extract<T, { readonly kind: 'done' }>;
}

function agreedValue<T>(
  judged: { readonly kind: 'agreed'; readonly value: T } | { readonly kind: 'refused'; readonly code: string },
): T {
  if (judged.kind === 'refused') throw new Error(judged.code);
  return judged.value;
}
