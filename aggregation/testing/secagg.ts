/** A whole aggregation in memory: honest clients and an honest coordinator, with drop-outs at chosen steps. */
import { generateSigningKey, sha256Hex, utf8 } from '@carapace/crypto';
import type { RandomSource, SigningKey } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import {
  audienceOf,
  decodeClientState,
  decodeServerState,
  DEFAULT_FLOOR,
  encodeClientState,
  encodeServerState,
  encodeSession,
  joinSession,
  maskOf,
  messageFor,
  newClientId,
  openRoster,
  openSession,
  parseDigest,
  parseRoundId,
  secaggClientStep,
  secaggServerStep,
  signRoster,
  thresholdsFor,
} from '../src/index.ts';
import type {
  ClientEffect,
  ClientEvent,
  ClientFloor,
  ClientState,
  Digest,
  Member,
  ServerEffect,
  ServerState,
  Session,
  SignedSeed,
  Standing,
} from '../src/index.ts';

/** After which message of its own a client falls silent: 0 never speaks, 5 answers to the end. */
export type Lifetime = 0 | 1 | 2 | 3 | 4 | 5;

export interface Person extends Member {
  readonly key: SigningKey;
}

export interface World {
  readonly random: RandomSource;
  readonly authority: SigningKey;
  readonly people: readonly Person[];
  readonly roster: Uint8Array;
  readonly session: Session;
}

export const digestOf = (text: string): Digest => parseDigest(sha256Hex(utf8(text)));

/** A cohort of `clients` enrolled people, and a session for them. */
export function makeWorld(seed: string | number, clients: number, change: Partial<Session> = {}): World {
  const random = seededRandom(`secagg/${seed}`);
  const authority = generateSigningKey(random);
  const people = Array.from({ length: clients }, (): Person => {
    const key = generateSigningKey(random);
    return { client: newClientId(random), identity: key.publicKey, key };
  }).sort((a, b) => (a.client < b.client ? -1 : 1));
  const roster = signRoster(authority, 1, people);
  const session: Session = {
    round: parseRoundId('mnist.7').id,
    attempt: 1,
    model: digestOf('weights'),
    work: digestOf('layout'),
    values: 10,
    quantiser: { clip: 1, bits: 8, maxWeight: 1000 },
    mode: 'words',
    roster: openRoster(roster, { authority: authority.publicKey, coordinator: authority.publicKey }).roster.digest,
    cohort: people.map(({ client, identity }) => ({ client, identity })),
    deadline: 1_800_000_000_000,
    ...thresholdsFor(clients),
    ...change,
  };
  return { random, authority, people, roster, session };
}

/** A floor low enough for every session that is possible at all. */
export const LOWEST_FLOOR: ClientFloor = { ...DEFAULT_FLOOR, minimumCohort: 2, minimumSurvivors: 2 };

export function standingOf(world: World, member: number, change: Partial<Standing> = {}): Standing {
  const person = world.people[member]!;
  return {
    client: person.client,
    identity: person.key,
    rosterKeys: { authority: world.authority.publicKey, coordinator: world.authority.publicKey },
    floor: LOWEST_FLOOR,
    model: world.session.model,
    work: world.session.work,
    values: world.session.values,
    ...change,
  };
}

/** One client with its history. `crashing`: reloaded from its stored state after every step. */
export class Participant {
  readonly world: World;
  readonly member: number;
  readonly effects: ClientEffect[] = [];
  readonly sent: Uint8Array[] = [];
  readonly #random: RandomSource;
  readonly #crashing: boolean;
  state: ClientState = { phase: 'aborted', code: 'ABANDONED', why: 'never joined' };

  constructor(world: World, member: number, crashing = true) {
    this.world = world;
    this.member = member;
    this.#crashing = crashing;
    this.#random = seededRandom(`${world.people[member]!.client}/${world.session.attempt}`);
  }

  join(
    change: Partial<Standing> = {},
    session: Session = this.world.session,
    roster: Uint8Array = this.world.roster,
  ): this {
    const invitation = { session: encodeSession(session), roster };
    const outcome = joinSession(invitation, standingOf(this.world, this.member, change), this.#random);
    return this.#take(outcome.state, outcome.effects);
  }

  tell(event: ClientEvent): this {
    const identity = this.world.people[this.member]!.key;
    const outcome = secaggClientStep(this.state, event, { identity, random: this.#random });
    return this.#take(outcome.state, outcome.effects);
  }

  get last(): Uint8Array {
    return this.sent.at(-1);
  }

  #take(state: ClientState, effects: readonly ClientEffect[]): this {
    this.state = this.#crashing ? decodeClientState(encodeClientState(state)) : state;
    this.effects.push(...effects);
    for (const effect of effects) if (effect.kind === 'send') this.sent.push(effect.message);
    return this;
  }
}

/** The coordinator with its blobs. `crashing`: reloaded from its stored state after every step. */
export class Coordinator {
  readonly effects: ServerEffect[] = [];
  readonly inputs: Map<number, Uint8Array> = new Map();
  state: ServerState;
  sums: Uint32Array | undefined;
  readonly #session: Session;
  readonly #crashing: boolean;

  constructor(session: Session, crashing = true) {
    this.#session = session;
    this.#crashing = crashing;
    this.state = openSession(session);
  }

  receive(from: number, message: Uint8Array): this {
    return this.#step({ kind: 'message', from, message });
  }

  close(): this {
    return this.#step({ kind: 'close' });
  }

  #step(event: Parameters<typeof secaggServerStep>[1]): this {
    const { state, effects } = secaggServerStep(this.state, event);
    this.state = this.#crashing ? decodeServerState(encodeServerState(state)) : state;
    this.effects.push(...effects);
    for (const effect of effects) {
      if (effect.kind === 'store') this.inputs.set(effect.member, effect.payload);
      if (effect.kind === 'open') this.#open(effect.inputs, effect.masks);
    }
    return this;
  }

  #open(inputs: readonly number[], masks: readonly SignedSeed[]): void {
    const payloads = inputs.map((member) => this.inputs.get(member)!);
    this.sums = maskOf(this.#session).open(payloads, masks);
    this.#step({ kind: this.sums === undefined ? 'garbled' : 'opened' });
  }
}

const ANSWERED = ['key-list', 'share-delivery', 'survivors', 'signatures'] as const;

/** Runs all steps; `lanes[i]` is the input of member i, `lifetimes[i]` how long it lives. `watch` sees every message before its client. */
export function runAggregation(
  world: World,
  lanes: readonly Uint32Array[],
  lifetimes: readonly Lifetime[],
  crashing = true,
  watch: (client: Participant, kind: (typeof ANSWERED)[number], message: Uint8Array) => void = () => undefined,
): { coordinator: Coordinator; clients: Participant[] } {
  const coordinator = new Coordinator(world.session, crashing);
  const clients = world.people.map((_, member) => new Participant(world, member, crashing));
  const alive = (step: number): Participant[] => clients.filter(({ member }) => lifetimes[member]! > step);
  for (const client of alive(0)) coordinator.receive(client.member, client.join().last);

  ANSWERED.forEach((kind, index) => {
    if (isWaiting(coordinator, index)) coordinator.close();
    for (const client of alive(index + 1)) {
      const message = messageFor(coordinator.state, client.member);
      if (message === undefined) continue;
      watch(client, kind, message);
      client.tell({ kind, message });
      if (kind === 'share-delivery') client.tell({ kind: 'input', lanes: lanes[client.member]! });
      coordinator.receive(client.member, client.last);
    }
  });
  if (isWaiting(coordinator, 4)) coordinator.close();
  return { coordinator, clients };
}

const WAITING: readonly ServerState['phase'][] = ['advertising', 'sharing', 'collecting', 'consistency', 'unmasking'];

function isWaiting(coordinator: Coordinator, step: number): boolean {
  return coordinator.state.phase === WAITING[step] && audienceOf(coordinator.state).length > 0;
}

/** The sum as the definition says it: integer by integer. */
export function plainSum(lanes: readonly Uint32Array[], members: readonly number[]): number[] {
  return Array.from(lanes[0]!, (_, i) => members.reduce((sum, member) => sum + lanes[member]![i]!, 0));
}
