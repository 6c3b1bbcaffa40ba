import { contextOf, maskOf, messageFor, secaggServerStep } from '@carapace/aggregation';
import type { ServerEffect, ServerState } from '@carapace/aggregation';
import { Coordinator, makeWorld, Participant, plainSum } from '@carapace/aggregation/testing';
import type { World } from '@carapace/aggregation/testing';
import { recoverSecret } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeUnmaskReply, encodeUnmaskReply } from '../../src/secagg/wire/unmask.ts';
import type { Disclosure } from '../../src/secagg/wire/unmask.ts';

const N = 9;
const KINDS = ['key-list', 'share-delivery', 'survivors', 'signatures'] as const;

/** Everybody has confirmed the survivors; the replies are made, and none has been sent. */
interface Stage {
  readonly world: World;
  readonly lanes: readonly Uint32Array[];
  readonly server: ServerState;
  readonly inputs: ReadonlyMap<number, Uint8Array>;
  readonly replies: ReadonlyMap<number, Uint8Array>;
  readonly survivors: readonly number[];
}

function stage(threshold: number, colluding: number, gone: readonly number[]): Stage {
  const world = makeWorld(`wrong shares/${threshold}`, N, { threshold, colluding, minimumSurvivors: threshold });
  const lanes = world.people.map((_, member) => new Uint32Array(12).fill(10 + member));
  const coordinator = new Coordinator(world.session, false);
  const clients = world.people.map((_, member) => new Participant(world, member, false).join());
  const survivors = clients.map(({ member }) => member).filter((member) => !gone.includes(member));
  KINDS.forEach((kind, step) => {
    const speaking = clients.filter(({ member }) => step < 2 || !gone.includes(member));
    for (const client of speaking) coordinator.receive(client.member, client.last);
    if (step === 2 && gone.length > 0) coordinator.close();
    for (const client of speaking) {
      client.tell({ kind, message: messageFor(coordinator.state, client.member)! });
      if (kind === 'share-delivery') client.tell({ kind: 'input', lanes: lanes[client.member]! });
    }
  });
  const replies = new Map(survivors.map((member) => [member, clients[member]!.last]));
  return { world, lanes, server: coordinator.state, inputs: coordinator.inputs, replies, survivors };
}

const withShare = (about: Disclosure, share: Uint8Array): Disclosure =>
  about.kind === 'survivor' ? { ...about, selfShare: share } : { ...about, keyShare: share };

const shareOf = (about: Disclosure): Uint8Array => (about.kind === 'survivor' ? about.selfShare : about.keyShare!);

/** All replies, changed by `edit`; the sum as it opens, and the effects. */
function unmask(
  { world, server, inputs, replies }: Stage,
  edit: (from: number, about: Disclosure) => Disclosure | null,
) {
  const context = contextOf(world.session);
  const effects: ServerEffect[] = [];
  let state = server;
  let sums: Uint32Array | undefined;
  for (const [member, message] of replies) {
    const reply = decodeUnmaskReply(context, message);
    const disclosures = reply.disclosures.flatMap((about) => edit(member, about) ?? []);
    const changed = encodeUnmaskReply(context, { member, disclosures });
    const outcome = secaggServerStep(state, { kind: 'message', from: member, message: changed });
    state = outcome.state;
    effects.push(...outcome.effects);
  }
  for (const effect of effects) {
    if (effect.kind !== 'open') continue;
    sums = maskOf(world.session).open(
      effect.inputs.map((input) => inputs.get(input)!),
      effect.masks,
    );
  }
  const accused = effects
    .flatMap((effect) => (effect.kind === 'accuse' ? [`${effect.member} ${effect.code} ${effect.subject}`] : []))
    .sort();
  return { state, sums, accused };
}

describe.each([
  ['compared with their commitments, for lack of shares', 7, 4, [2]],
  ['found by what they say together', 5, 0, [2]],
  ['found by what they say together, nobody gone', 5, 0, []],
  ['found together, two in concert', 6, 2, []],
])('wrong shares, %s: t = %i, c = %i', (_, threshold, colluding, gone) => {
  const set = stage(threshold, colluding, gone);
  const { survivors, lanes } = set;

  test('whoever sends wrong or no shares of whomever is named, nobody else; the sum is exact or there is none', () => {
    const pair = fc.record({
      from: fc.constantFrom(...survivors),
      about: fc.nat(N - 1),
      kind: fc.constantFrom('wrong', 'missing'),
    });
    const faults = fc.uniqueArray(pair, { maxLength: 8, selector: ({ from, about }) => `${from} ${about}` });
    fc.assert(
      fc.property(faults, fc.nat(), (list, seed) => {
        const random = seededRandom(seed);
        const { sums, state, accused } = unmask(set, (from, about) => {
          const fault = list.find((one) => one.from === from && one.about === about.member);
          if (fault?.kind === 'missing' && about.kind === 'survivor') return null;
          return fault?.kind === 'wrong' ? withShare(about, random.bytes(32)) : about;
        });
        const isFault = ({ kind, about }: (typeof list)[number]): boolean =>
          kind === 'wrong' || survivors.includes(about);
        const faulty = list.filter(isFault);
        const named = faulty.map(({ from, about, kind }) => `${from} SECAGG_SHARE_${kind.toUpperCase()} ${about}`);
        const unknown = survivors.filter((subject) => {
          return survivors.length - faulty.filter(({ about }) => about === subject).length < threshold;
        });
        if (unknown.length === 0) {
          expect(accused).toEqual(named.sort());
          expect(Array.from(sums!)).toEqual(plainSum(lanes, survivors));
        } else {
          expect(accused).toEqual([...named, `${unknown[0]} SECAGG_SHARE_MISSING ${unknown[0]}`].sort());
          expect(state).toMatchObject({ phase: 'abandoned', code: 'SECAGG_SHARE_MISSING' });
          expect(sums).toBeUndefined();
        }
      }),
      { numRuns: 60 },
    );
  });

  test('a single wrong bit anywhere in any share is seen', () => {
    const place = fc.tuple(fc.constantFrom(...survivors), fc.nat(N - 1), fc.nat(31), fc.nat(7));
    fc.assert(
      fc.property(place, ([sender, subject, byte, bit]) => {
        const { sums, accused } = unmask(set, (from, about) => {
          if (from !== sender || about.member !== subject) return about;
          return withShare(about, shareOf(about).with(byte, shareOf(about)[byte]! ^ (1 << bit)));
        });
        expect(accused).toEqual([`${sender} SECAGG_SHARE_WRONG ${subject}`]);
        expect(Array.from(sums!)).toEqual(plainSum(lanes, survivors));
      }),
      { numRuns: 30 },
    );
  });
});

test('two in concert, whose shares give the right secret together, are named as long as c says that two may be', () => {
  const subject = 3;
  for (const colluding of [2, 0]) {
    const set = stage(6, colluding, []);
    // With all nine shares the secret is the sum of weight times share; two errors with e_0 w_0 = e_1 w_1 leave it as it is.
    const weight = (place: number): number => {
      const unit = Array.from({ length: N }, (_, i) => ({ x: i + 1, value: Uint8Array.of(i === place ? 1 : 0) }));
      return recoverSecret(unit)[0]!;
    };
    const [w0, w1] = [weight(0), weight(1)];
    const { accused, sums } = unmask(set, (from, about) => {
      if (from > 1 || about.member !== subject) return about;
      // The error of one is the weight of the other, so both products are w_0 w_1.
      return withShare(about, shareOf(about).with(5, shareOf(about)[5]! ^ (from === 0 ? w1 : w0)));
    });
    expect(accused).toEqual(colluding === 2 ? ['0 SECAGG_SHARE_WRONG 3', '1 SECAGG_SHARE_WRONG 3'] : []);
    expect(Array.from(sums!)).toEqual(plainSum(set.lanes, set.survivors));
  }
});
