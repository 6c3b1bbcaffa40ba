/**
 * The client's shells around secure aggregation and shares, on real state directories, with a coordinator that is played: an honest
 * one, one that dies in between, and one that lies about the round.
 */
import {
  DEFAULT_AGGREGATOR_FLOOR,
  encodeSession,
  encodeSharesSession,
  layoutOf,
  messageFor,
  newClientId,
  openAggregator,
  parseRoundId,
  quantiserError,
  readRoster,
  sharesLanesOf,
  dequantise,
  judgeShareInput,
  openShares,
  sharesContextOf,
  signRoster,
  sumRequest,
  thresholdsFor,
} from '@carapace/aggregation';
import type { Assignment, ClientId, Deposit, Invitation, Session, SharesSession } from '@carapace/aggregation';
import { addUp, Coordinator } from '@carapace/aggregation/testing';
import { generateSigningKey, systemRandom } from '@carapace/crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Calls } from '../src/coordinator-calls.ts';
import type { ClientEvent } from '../src/events.ts';
import { floorOf } from '../src/hiding.ts';
import type { Hiding, HidingMeans } from '../src/hiding.ts';
import { DEFAULT_POLICY } from '../src/policy.ts';
import { SecureAggregation, workOf } from '../src/secure-aggregation.ts';
import { SharedUpdates } from '../src/shared-updates.ts';
import { StateDirectory } from '../src/state/state-directory.ts';
import type { Membership } from '../src/state/state-directory.ts';
import { ASSIGNMENT, COORDINATOR, MEMBERSHIP } from './fixtures.ts';

const CLIENTS = 4;
const layout = layoutOf(ASSIGNMENT.model.tensors);
const secure: Assignment = {
  ...ASSIGNMENT,
  protection: { kind: 'secagg', clip: 1, bits: 16, mode: 'auto', stepSeconds: 60, privacy: null },
};
const { signal } = new AbortController();
const deltaOf = (member: number): Float32Array =>
  Float32Array.from({ length: layout.size }, (_, i) => (member + 1) / 8 - i / 16);

let root = '';
let members: Member[] = [];
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'carapace-hidden-'));
  members = [];
  for (let i = 0; i < CLIENTS; i++) members.push(await Member.open(join(root, String(i)), newClientId(systemRandom)));
  members.sort((a, b) => (a.client < b.client ? -1 : 1));
});
afterEach(() => {
  for (const { state } of members) state.close();
  rmSync(root, { recursive: true, force: true });
});

class Member {
  readonly client: ClientId;
  readonly events: ClientEvent[] = [];
  readonly #path: string;
  state: StateDirectory;

  private constructor(path: string, client: ClientId, state: StateDirectory) {
    this.#path = path;
    this.client = client;
    this.state = state;
  }

  static async open(path: string, client: ClientId): Promise<Member> {
    return new Member(path, client, await StateDirectory.open(path, systemRandom));
  }

  /** As after a crash: what is not on the disk is gone. */
  async restart(): Promise<void> {
    this.state.close();
    this.state = await StateDirectory.open(this.#path, systemRandom);
  }

  means(calls: Partial<Calls>, more: Partial<Membership> = {}): HidingMeans {
    const untold = (): never => {
      throw new Error('the client made a call that is not expected here');
    };
    return {
      state: this.state,
      membership: { ...MEMBERSHIP, client: this.client, ...more },
      calls: new Proxy(calls, { get: (target, name) => target[name as keyof Calls] ?? untold }) as Calls,
      call: (attempt) => attempt(),
      floor: DEFAULT_POLICY.secagg,
      limit: null,
      waitSeconds: 0,
      random: systemRandom,
      onEvent: (event) => this.events.push(event),
    };
  }
}

/** A coordinator in memory for one round of all members. */
class Played {
  readonly coordinator: Coordinator;
  readonly invitation: Invitation;
  readonly session: Session;

  constructor(change: Partial<Session> = {}) {
    const cohort = members.map(({ client, state }) => ({ client, identity: state.key.publicKey }));
    const roster = signRoster(COORDINATOR, 1, cohort);
    this.session = {
      round: secure.round,
      attempt: 1,
      model: secure.model.weights,
      work: workOf(secure, layout),
      values: layout.size,
      quantiser: { clip: 1, bits: 16, maxWeight: secure.training.maxExamples },
      mode: 'words',
      roster: readRoster(roster).digest,
      cohort,
      deadline: 1_900_000_000_000,
      ...thresholdsFor(CLIENTS),
      ...change,
    };
    this.invitation = { session: encodeSession(this.session), roster };
    this.coordinator = new Coordinator(this.session, false);
  }

  callsOf(member: number): Partial<Calls> {
    return {
      invitation: async () => this.invitation,
      sendProtocolMessage: async (_round, _step, message) => void this.coordinator.receive(member, message),
      receiveProtocolMessage: async (_round, step) => {
        const reached = { 'share-keys': 'sharing', 'masked-input': 'collecting', consistency: 'consistency' } as const;
        const phase = step === 'unmask' ? 'unmasking' : reached[step];
        const message = this.coordinator.state.phase === phase ? messageFor(this.coordinator.state, member) : undefined;
        return message ?? { idleMs: 5 };
      },
    };
  }
}

/** All members agree, but for those whose part is another's to play. */
function agreeAll(played: Played, assignment = secure): Promise<Hiding[]> {
  return Promise.all(
    members.map((member, i) =>
      new SecureAggregation(member.means(played.callsOf(i))).agree(assignment, layout, signal),
    ),
  );
}

describe('secure aggregation', () => {
  test('a round through to its sum, and nothing is left of it', async () => {
    const played = new Played();
    const hidings = await agreeAll(played);
    for (const [i, hiding] of hidings.entries()) {
      expect(hiding).toMatchObject({ ready: null, masked: true });
      played.coordinator.receive(i, await hiding.hide(deltaOf(i), 10));
    }
    await Promise.all(
      members.map((member, i) => new SecureAggregation(member.means(played.callsOf(i))).unmask(secure.round, signal)),
    );
    expect(played.coordinator.state).toMatchObject({ phase: 'completed' });
    for (const { state, events } of members) {
      expect(await state.protocol()).toBeNull();
      expect(events.map(({ kind }) => kind)).toEqual(['invited', 'unmasked']);
    }
  });

  test('whoever dies between its masked input and its journal sends the same bytes, and trains nothing again', async () => {
    const played = new Played();
    const hidings = await agreeAll(played);
    const bytes = await hidings[0]!.hide(deltaOf(0), 10);
    const [member] = members as [Member];
    await member.restart();
    const again = new SecureAggregation(member.means({}));
    expect(await again.unsent()).toEqual({ round: secure.round, bytes });
    expect(await again.unfinished()).toBeNull();
    expect((await again.agree(secure, layout, signal)).ready).toEqual(bytes);
    expect(await (await again.agree(secure, layout, signal)).hide(deltaOf(3), 7)).toEqual(bytes);
    await again.noteAdmitted(secure.round);
    expect(await again.unfinished()).toBe(secure.round);
    expect(await again.unsent()).toBeNull();
  });

  test('whoever dies in the middle of the agreement goes on with the same keys', async () => {
    const played = new Played();
    const [member] = members as [Member];
    const silent = { ...played.callsOf(0), sendProtocolMessage: () => Promise.reject(new Error('the line is cut')) };
    await expect(new SecureAggregation(member.means(silent)).agree(secure, layout, signal)).rejects.toThrow(
      'the line is cut',
    );
    const before = (await member.state.protocol())!.state;
    await member.restart();
    expect((await member.state.protocol())!.state).toEqual(before);
    expect(await agreeAll(played)).toHaveLength(CLIENTS);
    expect(member.events.filter(({ kind }) => kind === 'invited')).toHaveLength(1);
  });

  const other = 'f'.repeat(64) as typeof secure.model.weights;
  test.each([
    ['other weights', { ...secure, model: { ...secure.model, weights: other } }],
    ['another topology', { ...secure, model: { ...secure.model, topology: other } }],
    ['other training', { ...secure, training: { ...secure.training, epochs: 2 } }],
    ['another protection', { ...secure, protection: { ...secure.protection, bits: 17 } as typeof secure.protection }],
  ])('a session is not gone on with for %s: its masks are for that work alone', async (_, changed) => {
    const played = new Played();
    await agreeAll(played);
    const [member] = members as [Member];
    await member.restart();
    const resumed = new SecureAggregation(member.means(played.callsOf(0)));
    await expect(resumed.agree(changed, layout, signal)).rejects.toMatchObject({ code: 'PROTECTION_REFUSED' });
    expect(await member.state.protocol()).toBeNull();
  });

  test.each([
    ['other weights', { model: other }],
    ['other work', { work: other }],
    ['another length', { values: 7 }],
    ['another round', { round: parseRoundId('mnist.4').id }],
  ])('an invitation to %s is refused, and nothing is said', async (_, change) => {
    const played = new Played(change);
    for (const member of members) {
      const means = member.means({ invitation: async () => played.invitation });
      const refused = new SecureAggregation(means).agree(secure, layout, signal);
      await expect(refused).rejects.toMatchObject({ code: 'PROTECTION_REFUSED' });
    }
  });
});

describe('shares', () => {
  const key = generateSigningKey(systemRandom);
  const aggregator = { client: newClientId(systemRandom), identity: key.publicKey };
  const shared: Assignment = {
    ...ASSIGNMENT,
    protection: { kind: 'shares', clip: 1, bits: 16, aggregator: aggregator.client, stepSeconds: 60, privacy: null },
  };

  function invite(change: Partial<SharesSession> = {}): { session: SharesSession; invitation: Invitation } {
    const cohort = members.map(({ client, state }) => ({ client, identity: state.key.publicKey }));
    const roster = signRoster(COORDINATOR, 1, cohort);
    const session: SharesSession = {
      round: shared.round,
      attempt: 1,
      model: shared.model.weights,
      work: workOf(shared, layout),
      values: layout.size,
      quantiser: { clip: 1, bits: 16, maxWeight: shared.training.maxExamples },
      minimumSurvivors: 3,
      deadline: 1_900_000_000_000,
      aggregator,
      roster: readRoster(roster).digest,
      cohort,
      ...change,
    };
    return { session, invitation: { session: encodeSharesSession(session), roster } };
  }

  const callsOf = (invitation: Invitation, message: Uint8Array): Partial<Calls> => ({
    invitation: async () => invitation,
    receiveProtocolMessage: async () => message,
  });

  test('a round through to its mean', async () => {
    const { session, invitation } = invite();
    const rosterKeys = { coordinator: COORDINATOR.publicKey };
    const floor = DEFAULT_AGGREGATOR_FLOOR;
    const opened = openAggregator(
      invitation,
      { client: aggregator.client, identity: key, rosterKeys, floor, now: 1_899_999_000_000 },
      systemRandom,
    );
    if (opened.kind === 'refused') throw new Error(opened.code);
    const calls = callsOf(invitation, opened.state.outbox);
    const inputs: Uint8Array[] = [];
    const deposits: Deposit[] = [];
    for (const [i, member] of members.entries()) {
      const means = member.means(calls, i === 0 ? {} : { aggregator: key.publicKey });
      const hiding = await new SharedUpdates(means).agree(shared, layout, signal);
      expect(hiding).toMatchObject({ ready: null, masked: false });
      inputs.push(await hiding.hide(deltaOf(i), 10));
      const judged = judgeShareInput(session, i, inputs[i]!);
      if (judged.kind === 'refused') throw new Error(judged.code);
      deposits.push(judged.deposit);
      const trust = { roster: 'coordinator', aggregator: i === 0 ? 'coordinator' : 'pinned' };
      expect(member.events).toMatchObject([{ kind: 'sharing', cohort: CLIENTS, trust }]);
    }
    const { answer } = addUp(opened.state, sumRequest(session, deposits));
    const opening = openShares(session, [0, 1, 2, 3], answer);
    inputs.forEach((input, i) => opening.add(i, input));
    const mean = dequantise(opening.open()!, CLIENTS, session.quantiser, sharesLanesOf(session))!;
    const { worst } = quantiserError(session.quantiser, CLIENTS, 10 * CLIENTS);
    for (let i = 0; i < layout.size; i++) {
      const plain = members.reduce((sum, _, member) => sum + deltaOf(member)[i]! / CLIENTS, 0);
      expect(Math.abs(mean.mean[i]! - plain)).toBeLessThanOrEqual(worst);
    }
    expect(sharesContextOf(session)).toHaveLength(32);
  });

  const other = 'f'.repeat(64) as typeof shared.model.weights;
  test.each([
    ['other weights', { model: other }, {}],
    ['other work', { work: other }, {}],
    ['another round', { round: parseRoundId('mnist.4').id }, {}],
    ['a sum of nearly nobody', { minimumSurvivors: 2 }, {}],
    ['another aggregator than the pinned one', {}, { aggregator: COORDINATOR.publicKey }],
    [
      'another aggregator than that of the assignment',
      { aggregator: { ...aggregator, client: newClientId(systemRandom) } },
      {},
    ],
    ['a roster that is not the pinned authority’s', {}, { authority: key.publicKey }],
  ])('an invitation to %s is refused before anything is trained', async (_, change, pins) => {
    const { invitation } = invite(change);
    const [member] = members as [Member];
    const means = member.means({ invitation: async () => invitation }, pins);
    const refused = new SharedUpdates(means).agree(shared, layout, signal);
    await expect(refused).rejects.toMatchObject({ code: 'PROTECTION_REFUSED' });
    expect(member.events).toEqual([]);
  });

  test('an aggregator that changes within a task is noticed, also by a client that has pinned none', async () => {
    const [member] = members as [Member];
    const agree = (change: Partial<SharesSession>): Promise<Hiding> =>
      new SharedUpdates(member.means(callsOf(invite(change).invitation, new Uint8Array(0)))).agree(
        shared,
        layout,
        signal,
      );
    // As an earlier version noted it: then the first that comes is the one.
    await member.state.noteProtected(shared.task, 'shares');
    await expect(agree({})).rejects.toMatchObject({ message: expect.stringContaining('SECAGG_MALFORMED') });
    await member.restart();
    const other = { client: aggregator.client, identity: generateSigningKey(systemRandom).publicKey };
    await expect(agree({ aggregator: other })).rejects.toMatchObject({
      code: 'PROTECTION_REFUSED',
      message: expect.stringContaining('is not the aggregator that mnist had before'),
    });
    await expect(agree({})).rejects.toMatchObject({ message: expect.stringContaining('SECAGG_MALFORMED') });
    expect(member.events.map(({ kind }) => kind)).toEqual(['sharing', 'sharing']);
  });

  test('a device that has an authority pinned, from whichever run, takes nobody’s word for the aggregator', async () => {
    const authority = generateSigningKey(systemRandom);
    const cohort = members.map(({ client, state }) => ({ client, identity: state.key.publicKey }));
    const roster = signRoster(authority, 1, cohort);
    const { session } = invite({ roster: readRoster(roster).digest });
    const invitation = { session: encodeSharesSession(session), roster };
    const [member] = members as [Member];
    // The floor is that of a run without flags.
    const pins = { authority: authority.publicKey };
    const agree = (more: Partial<Membership>): Promise<Hiding> =>
      new SharedUpdates(member.means(callsOf(invitation, new Uint8Array(0)), { ...pins, ...more })).agree(
        shared,
        layout,
        signal,
      );
    const { membership, floor, state } = member.means({}, pins);
    expect(await floorOf(floor, state, membership)).toEqual({ ...floor, acceptCoordinatorRoster: false });
    await expect(agree({})).rejects.toMatchObject({ message: expect.stringContaining('SECAGG_POLICY') });
    expect(member.events).toEqual([]);
    await expect(agree({ aggregator: key.publicKey })).rejects.toMatchObject({
      message: expect.stringContaining('SECAGG_MALFORMED'),
    });
    const trust = { roster: 'authority', aggregator: 'pinned' };
    expect(member.events).toMatchObject([{ kind: 'sharing', trust }]);
  });

  test('a key that the aggregator did not sign is refused', async () => {
    const { invitation } = invite();
    const [member] = members as [Member];
    for (const message of [new Uint8Array(0), new Uint8Array(134), invitation.roster]) {
      const refused = new SharedUpdates(member.means(callsOf(invitation, message))).agree(shared, layout, signal);
      await expect(refused).rejects.toMatchObject({ code: 'PROTECTION_REFUSED' });
    }
  });
});
