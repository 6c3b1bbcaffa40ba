import {
  MASK_MODES,
  maskOf,
  messageFor,
  openSession,
  secaggClientStep,
  secaggServerStep,
  thresholdsFor,
} from '@carapace/aggregation';
import type { ClientState, ServerEvent, ServerState, Session } from '@carapace/aggregation';
import { makeWorld, Participant, plainSum, runAggregation } from '@carapace/aggregation/testing';
import type { Lifetime, World } from '@carapace/aggregation/testing';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const LIFETIMES: readonly Lifetime[] = [0, 1, 2, 3, 4, 5];

/** Inputs that use the whole lane, the largest integer included. */
function makeLanes(world: World, seed: number | string): Uint32Array[] {
  const { quantiser, values, cohort } = world.session;
  const random = seededRandom(`lanes/${seed}`);
  const max = 2 ** quantiser.bits - 1;
  const count = values + Math.ceil(Math.log2(quantiser.maxWeight + 1) / quantiser.bits);
  return cohort.map(() =>
    Uint32Array.from(new Uint32Array(random.bytes(4 * count).buffer), (word, i) => (i % 3 === 0 ? max : word & max)),
  );
}

/** Who is left after each step decides everything, and this is the whole rule. */
function survivorsOf(session: Session, lifetimes: readonly Lifetime[]): number[] | undefined {
  const least = Math.max(session.threshold, session.minimumSurvivors);
  const lasting = (step: number): number[] =>
    lifetimes.flatMap((lifetime, member) => (lifetime >= step ? [member] : []));
  const enough =
    [1, 2, 3].every((step) => lasting(step).length >= least) &&
    [4, 5].every((step) => lasting(step).length >= session.threshold);
  return enough ? lasting(3) : undefined;
}

function check(world: World, lifetimes: readonly Lifetime[], seed: number | string, crashing = true): void {
  const lanes = makeLanes(world, seed);
  const { coordinator } = runAggregation(world, lanes, lifetimes, crashing);
  const survivors = survivorsOf(world.session, lifetimes);
  if (survivors === undefined) {
    expect(coordinator.state).toMatchObject({ phase: 'abandoned' });
    expect(coordinator.sums).toBeUndefined();
  } else {
    expect(coordinator.state).toEqual({ phase: 'completed', survivors });
    expect(Array.from(coordinator.sums!)).toEqual(plainSum(lanes, survivors));
  }
}

interface Branch {
  readonly server: ServerState;
  readonly clients: ReadonlyMap<number, ClientState>;
  readonly inputs: ReadonlyMap<number, Uint8Array>;
}

interface Leaf {
  readonly state: ServerState;
  readonly sums: Uint32Array | undefined;
  /** How many drop-out patterns end here. */
  readonly patterns: number;
}

/**
 * Every drop-out pattern, as a tree: at each step every subset of the clients that still speak. States are values, so a
 * branch is a copy of nothing, and what was abandoned needs no branching.
 */
function* explore(world: World, lanes: readonly Uint32Array[], branch: Branch, step = 0): Generator<Leaf> {
  for (const speaking of subsets([...branch.clients.keys()])) {
    const { server, inputs, sums } = speak(world, branch, speaking);
    if (server.phase === 'abandoned' || server.phase === 'completed') {
      yield { state: server, sums, patterns: (5 - step) ** speaking.length };
      continue;
    }
    const clients = new Map(
      speaking.map((member) => [member, answer(world, lanes, server, member, branch.clients.get(member)!)]),
    );
    yield* explore(world, lanes, { server, clients, inputs }, step + 1);
  }
}

function speak(world: World, branch: Branch, speaking: readonly number[]): Branch & { sums: Uint32Array | undefined } {
  let server = branch.server;
  let sums: Uint32Array | undefined;
  const inputs = new Map(branch.inputs);
  const take = (event: ServerEvent): void => {
    const outcome = secaggServerStep(server, event);
    server = outcome.state;
    for (const effect of outcome.effects) {
      if (effect.kind === 'store') inputs.set(effect.member, effect.payload);
      if (effect.kind !== 'open') continue;
      const payloads = effect.inputs.map((member) => inputs.get(member)!);
      sums = maskOf(world.session).open(payloads, effect.masks);
      take({ kind: sums === undefined ? 'garbled' : 'opened' });
    }
  };
  for (const member of speaking) {
    const client = branch.clients.get(member)!;
    if ('outbox' in client) take({ kind: 'message', from: member, message: client.outbox });
  }
  if (server.phase === branch.server.phase) take({ kind: 'close' });
  return { server, clients: branch.clients, inputs, sums };
}

const EVENT_OF = {
  advertised: 'key-list',
  shared: 'share-delivery',
  masked: 'survivors',
  consistent: 'signatures',
} as const;

function answer(
  world: World,
  lanes: readonly Uint32Array[],
  server: ServerState,
  member: number,
  state: ClientState,
): ClientState {
  const means = { identity: world.people[member]!.key, random: world.random };
  const kind = EVENT_OF[state.phase as keyof typeof EVENT_OF];
  const next = secaggClientStep(state, { kind, message: messageFor(server, member)! }, means).state;
  return next.phase === 'keyed' ? secaggClientStep(next, { kind: 'input', lanes: lanes[member]! }, means).state : next;
}

function subsets(members: readonly number[]): number[][] {
  return Array.from({ length: 2 ** members.length }, (_, bits) => members.filter((_, i) => (bits >> i) & 1));
}

describe.each(MASK_MODES)('every drop-out pattern at every step, mode %s', (mode) => {
  test.each([
    [2, 2],
    [3, 2],
    [3, 3],
    [4, 3],
    [4, 4],
    [5, 3],
    [5, 4],
    [5, 5],
  ])('of %i clients with threshold %i', (clients, threshold) => {
    const world = makeWorld(`all/${clients}/${threshold}`, clients, {
      mode,
      threshold,
      minimumSurvivors: threshold,
      colluding: 0,
    });
    const lanes = makeLanes(world, clients);
    const joined = world.people.map((_, member) => [member, new Participant(world, member).join().state] as const);
    const start: Branch = { server: openSession(world.session), clients: new Map(joined), inputs: new Map() };
    let completed = 0;
    let abandoned = 0;
    for (const { state, sums, patterns } of explore(world, lanes, start)) {
      if (state.phase === 'completed') {
        expect(Array.from(sums!)).toEqual(plainSum(lanes, state.survivors));
        completed += patterns;
      } else {
        expect(state.phase).toBe('abandoned');
        expect(sums).toBeUndefined();
        abandoned += patterns;
      }
    }
    // A pattern completes when at least `threshold` clients live to the end, whenever the others leave.
    expect(completed + abandoned).toBe(6 ** clients);
    expect(completed).toBe(patternsThatComplete(clients, threshold));
  });
});

function patternsThatComplete(clients: number, threshold: number): number {
  const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);
  let count = 0;
  for (let lasting = threshold; lasting <= clients; lasting++) {
    count += choose(clients, lasting) * 5 ** (clients - lasting);
  }
  return count;
}

test('random drop-out patterns, cohorts, lanes and thresholds', () => {
  const cohort = fc.integer({ min: 2, max: 13 }).chain((clients) =>
    fc.record({
      clients: fc.constant(clients),
      lifetimes: fc.array(
        fc.oneof({ weight: 6, arbitrary: fc.constant<Lifetime>(5) }, fc.constantFrom<Lifetime>(...LIFETIMES)),
        { minLength: clients, maxLength: clients },
      ),
      bits: fc.integer({ min: 2, max: 24 }),
      values: fc.integer({ min: 1, max: 40 }),
      maxWeight: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      slack: fc.nat({ max: clients }),
      mode: fc.constantFrom(...MASK_MODES),
      seed: fc.nat(),
    }),
  );
  fc.assert(
    fc.property(cohort, ({ clients, lifetimes, bits, values, maxWeight, slack, mode, seed }) => {
      const threshold = Math.min(clients, Math.floor(clients / 2) + 1 + slack);
      const world = makeWorld(seed, clients, {
        mode,
        threshold,
        minimumSurvivors: threshold,
        colluding: 0,
        values,
        quantiser: { clip: 1, bits, maxWeight },
      });
      check(world, lifetimes, seed);
    }),
    { numRuns: 30 },
  );
});

test.each([
  [24, 0],
  [100, 0.3],
])('%i clients, of which a share of %f drops out at random steps', (clients, share) => {
  const world = makeWorld(`large/${clients}`, clients, { values: 100, ...thresholdsFor(clients) });
  const random = seededRandom(`drop/${clients}`);
  const order = Array.from(random.bytes(clients), (byte, member) => ({ byte, member })).sort((a, b) => a.byte - b.byte);
  const lifetimes = new Array<Lifetime>(clients).fill(5);
  for (const { byte, member } of order.slice(0, Math.floor(share * clients))) lifetimes[member] = LIFETIMES[byte % 5]!;
  check(world, lifetimes, clients, clients < 100);
});
