/**
 * Known answers of secure aggregation, made with fixed seeds: `node aggregation/test/vectors/secagg-vectors.ts` writes `secagg.json` beside
 * this file, and `secagg-vectors.test.ts` holds the code and the documents against it. All byte strings are hexadecimal.
 */
import {
  contextOf,
  decodeSession,
  encodeSession,
  joinSession,
  lanesOf,
  maskOf,
  messageFor,
  openSession,
  quantise,
  secaggClientStep,
  secaggServerStep,
} from '@carapace/aggregation';
import type { ClientState, MaskMode, ServerEffect, Session } from '@carapace/aggregation';
import { makeWorld, standingOf } from '@carapace/aggregation/testing';
import type { World } from '@carapace/aggregation/testing';
import { addMask, sha256Hex, splitSecret, toHex } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bindingOf } from '../../src/secagg/derivation.ts';
import { graphOf } from '../../src/secagg/graph.ts';
import { decodeKeyList } from '../../src/secagg/wire/advertise-keys.ts';
import type { AdvertisedKeys } from '../../src/secagg/wire/advertise-keys.ts';

/** Messages by their names, in the order in which they travel: an array where every client has its own. */
interface Transcript {
  readonly session: string;
  readonly roster: string;
  readonly context: string;
  readonly binding: string;
  readonly clients: readonly { client: string; identitySeed: string; random: string; lanes: number[] }[];
  readonly messages: Readonly<Record<string, string | readonly (string | null)[]>>;
  readonly masks: readonly { seed: string; sign: number }[];
  readonly survivors: readonly number[];
  readonly sums: readonly number[];
}

interface Refusal {
  readonly what: string;
  /** Which decoder is to refuse. */
  readonly kind: string;
  readonly bytes: string;
  readonly code: string;
}

export interface SecaggVectors {
  readonly shamir: object;
  readonly maskStream: object;
  readonly quantiser: object;
  readonly ring: object;
  readonly words: Transcript;
  readonly rlwe: Transcript;
  readonly refusedSessions: readonly Refusal[];
  readonly refusedMessages: readonly Refusal[];
}

export function makeVectors(): SecaggVectors {
  const words = transcript('words');
  return {
    shamir: shamirVector(),
    maskStream: maskStreamVector(),
    quantiser: quantiserVector(),
    ring: ringVector(),
    words,
    rlwe: transcript('rlwe'),
    refusedSessions: refusedSessions(words.session),
    refusedMessages: refusedMessages(words),
  };
}

function shamirVector(): object {
  const secret = Uint8Array.from({ length: 32 }, (_, i) => i);
  const coefficients = seededRandom('vectors/shamir').bytes(64);
  const drawn = [coefficients.subarray(0, 32), coefficients.subarray(32)].map((bytes) => Uint8Array.from(bytes));
  const random: RandomSource = { bytes: () => drawn.shift()! };
  const xs = [1, 2, 3, 254, 255];
  const shares = splitSecret(secret, 3, xs, random);
  return {
    what: 'byte by byte, polynomial x^8 + x^4 + x^3 + x + 1; coefficients of x and x^2',
    secret: toHex(secret),
    coefficients: [toHex(coefficients.subarray(0, 32)), toHex(coefficients.subarray(32))],
    shares: xs.map((x, i) => ({ x, value: toHex(shares[i]!) })),
  };
}

function maskStreamVector(): object {
  const seed = seededRandom('vectors/mask').bytes(32);
  const words = new BigUint64Array(4).fill(2n ** 64n - 1n);
  addMask(words, seed);
  return {
    what: 'AES-128-CTR under seed[0..16] from the counter block seed[16..32], added to words of all ones',
    seed: toHex(seed),
    words: toHex(new Uint8Array(words.buffer)),
  };
}

function quantiserVector(): object {
  const { session } = makeWorld('vectors/quantiser', 3, { values: 8 });
  const update = [0, 1, -1, 0.5, -0.25, 3, -3, 0.001];
  const coinSeed = seededRandom('vectors/coins').bytes(32);
  const lanes = quantise(Float32Array.from(update), 500, session.quantiser, lanesOf(session), {
    bytes: () => Uint8Array.from(coinSeed),
  });
  return {
    what: 'coins: AES-256-CTR under the seed from the counter block 0, 32 bits for each value, little-endian',
    quantiser: session.quantiser,
    weight: 500,
    update,
    coinSeed: toHex(coinSeed),
    lanes: Array.from(lanes),
  };
}

function ringVector(): object {
  const graph = { neighbours: 8, threshold: 6, colluding: 0, minimumSurvivors: 129 };
  const { session } = makeWorld('vectors/ring', 256, graph);
  const random = seededRandom('vectors/ring/keys');
  const keys = Array.from({ length: 20 }, (_, i): AdvertisedKeys => {
    const [sealingKey, maskKey, signature] = [random.bytes(32), random.bytes(32), random.bytes(64)];
    return { member: 3 * i, sealingKey, maskKey, signature };
  });
  const ring = graphOf(session, keys);
  return {
    what: 'members 0, 3, ... 57 on the ring in the order of SHA-256(text("carapace/v1/secagg/graph") || binding || u16(member)); the 4 on both sides are neighbours',
    binding: toHex(bindingOf(contextOf(session), keys)),
    peers: Object.fromEntries(keys.map(({ member }) => [member, ring.peers(member)])),
  };
}

/** Three clients with a threshold of two; the last falls silent before its input. */
function transcript(mode: MaskMode): Transcript {
  const change = { mode, values: 4, threshold: 2, minimumSurvivors: 2, colluding: 0 };
  const world = makeWorld(`vectors/${mode}`, 3, change);
  const { session } = world;
  const lanes = world.people.map((_, member) => lanesOfMember(session, member));
  const clients = world.people.map((_, member) => new Recorded(world, member));
  let server = openSession(session);
  const messages: Record<string, string | (string | null)[]> = {};
  let effects: readonly ServerEffect[] = [];
  const payloads = new Map<number, Uint8Array>();
  const receive = (name: string, from: readonly Recorded[]): void => {
    messages[name] = clients.map((client) => (from.includes(client) ? toHex(client.outbox) : null));
    for (const client of from) {
      const outcome = secaggServerStep(server, { kind: 'message', from: client.member, message: client.outbox });
      ({ state: server, effects } = outcome);
      for (const effect of effects) if (effect.kind === 'store') payloads.set(effect.member, effect.payload);
    }
  };
  receive('advertise-keys', clients);
  const list = messageFor(server, 0)!;
  for (const kind of ['key-list', 'share-delivery', 'survivors', 'signatures'] as const) {
    const present = kind === 'key-list' || kind === 'share-delivery' ? clients : clients.slice(0, 2);
    const sent = present.map((client) => messageFor(server, client.member)!);
    messages[kind] = kind === 'share-delivery' ? sent.map(toHex) : toHex(sent[0]!);
    present.forEach((client, i) => client.tell({ kind, message: sent[i]! }));
    if (kind === 'key-list') receive('share-keys', present);
    if (kind === 'share-delivery') {
      for (const client of clients.slice(0, 2)) client.tell({ kind: 'input', lanes: lanes[client.member]! });
      receive('masked-input', clients.slice(0, 2));
      ({ state: server } = secaggServerStep(server, { kind: 'close' }));
    }
    if (kind === 'survivors') receive('consistency', present);
    if (kind === 'signatures') receive('unmask', present);
  }
  const order = effects.find((effect) => effect.kind === 'open')!;
  const sums = maskOf(session).open(
    order.inputs.map((member) => payloads.get(member)!),
    order.masks,
  )!;
  const context = contextOf(session);
  return {
    session: toHex(encodeSession(session)),
    roster: toHex(world.roster),
    context: toHex(context),
    binding: toHex(bindingOf(context, decodeKeyList(context, list))),
    clients: clients.map((client) => ({ ...client.secrets, lanes: Array.from(lanes[client.member]!) })),
    messages: shortened(messages),
    masks: order.masks.map(({ seed, sign }) => ({ seed: toHex(seed), sign })),
    survivors: order.inputs,
    sums: Array.from(sums),
  };
}

function lanesOfMember(session: Session, member: number): Uint32Array {
  const { values, weightLanes, laneMax } = lanesOf(session);
  return Uint32Array.from({ length: values + weightLanes }, (_, i) => (i === 0 ? laneMax : 10 * member + i));
}

/** A message of mode rlwe is long: of what is longer than a kilobyte the length and the hash stand in its place. */
function shortened(messages: Record<string, string | (string | null)[]>): Transcript['messages'] {
  const short = (hex: string | null): string | null => {
    if (hex === null || hex.length <= 2048) return hex;
    return `${hex.length / 2} bytes, SHA-256 ${sha256Hex(Buffer.from(hex, 'hex'))}`;
  };
  return Object.fromEntries(
    Object.entries(messages).map(([name, value]) => [name, Array.isArray(value) ? value.map(short) : short(value)!]),
  );
}

/** A client that keeps what it drew. */
class Recorded {
  readonly member: number;
  readonly #world: World;
  readonly #drawn: string[] = [];
  readonly #random: RandomSource;
  #state: ClientState;

  constructor(world: World, member: number) {
    this.#world = world;
    this.member = member;
    const source = seededRandom(`vectors/${world.session.mode}/${member}`);
    this.#random = {
      bytes: (length) => {
        const bytes = source.bytes(length);
        this.#drawn.push(toHex(bytes));
        return bytes;
      },
    };
    const invitation = { session: encodeSession(world.session), roster: world.roster };
    this.#state = joinSession(invitation, standingOf(world, member), this.#random).state;
  }

  get outbox(): Uint8Array {
    if (!('outbox' in this.#state)) throw new Error(`client ${this.member} is ${this.#state.phase}`);
    return this.#state.outbox;
  }

  get secrets(): { client: string; identitySeed: string; random: string } {
    const { client, key } = this.#world.people[this.member]!;
    return { client, identitySeed: toHex(key.exportSeed()), random: this.#drawn.join('') };
  }

  tell(event: Parameters<typeof secaggClientStep>[1]): void {
    const means = { identity: this.#world.people[this.member]!.key, random: this.#random };
    this.#state = secaggClientStep(this.#state, event, means).state;
  }
}

type Change = (bytes: Uint8Array) => Uint8Array;

const at =
  (place: number, ...values: readonly number[]): Change =>
  (bytes) => {
    const changed = Uint8Array.from(bytes);
    changed.set(values, place < 0 ? bytes.length + place : place);
    return changed;
  };
const longer: Change = (bytes) => Uint8Array.from([...bytes, 0]);
const shorter: Change = (bytes) => bytes.subarray(0, -1);

function refusedSessions(hex: string): Refusal[] {
  const bytes = Buffer.from(hex, 'hex');
  const session = decodeSession(bytes);
  const encoded = (change: Partial<Session>): Uint8Array => encodeSession({ ...session, ...change });
  const row = (what: string, changed: Uint8Array, code: string): Refusal => {
    return { what, kind: 'session', bytes: toHex(changed), code };
  };
  return [
    row('another magic', at(0, 0x43, 0x52, 0x53, 0x41)(bytes), 'MESSAGE_INVALID'),
    row('another version', at(4, 2)(bytes), 'MESSAGE_INVALID'),
    row('one byte more', longer(bytes), 'MESSAGE_INVALID'),
    row('one byte less', shorter(bytes), 'MESSAGE_INVALID'),
    row(
      'a threshold with 2t - n = 0',
      encoded({ cohort: session.cohort.slice(0, 2), threshold: 1 }),
      'SECAGG_PARAMETERS',
    ),
    row('as many colluding as 2t - n', encoded({ colluding: 1 }), 'SECAGG_PARAMETERS'),
    row('fewer survivors than the threshold', encoded({ minimumSurvivors: 1 }), 'SECAGG_PARAMETERS'),
    row('one bit', encoded({ quantiser: { ...session.quantiser, bits: 1 } }), 'SECAGG_PARAMETERS'),
    row('no values', encoded({ values: 0 }), 'SECAGG_PARAMETERS'),
    row('a cohort out of order', encoded({ cohort: session.cohort.toReversed() }), 'MESSAGE_INVALID'),
    row('a client twice', encoded({ cohort: session.cohort.with(1, session.cohort[0]!) }), 'MESSAGE_INVALID'),
  ];
}

function refusedMessages({ messages, context }: Transcript): Refusal[] {
  const first = (name: string): Uint8Array => {
    const value = messages[name]!;
    return Buffer.from(Array.isArray(value) ? value[0]! : (value as string), 'hex');
  };
  const row = (what: string, kind: string, change: Change, code = 'MESSAGE_INVALID'): Refusal => {
    return { what, kind, bytes: toHex(change(first(kind))), code };
  };
  const every = Object.keys(messages).flatMap((kind) => [
    row('another magic', kind, at(3, 0x42)),
    row('another format', kind, at(4, 2)),
    row('another kind', kind, at(5, 99)),
    row('another context', kind, at(6, Number.parseInt(context.slice(0, 2), 16) ^ 1), 'SECAGG_CONTEXT'),
    row('one byte more', kind, longer),
    row('one byte less', kind, shorter),
  ]);
  return [
    ...every,
    row('a member twice', 'key-list', at(40 + 130, 0, 0)),
    row('a count above what follows', 'key-list', at(38, 4, 0)),
    row('a member twice', 'survivors', at(42, 0, 0)),
    row('a payload longer than the message', 'masked-input', at(40, 0xff, 0xff, 0xff, 0xff)),
    row('a disclosure of an unknown kind', 'unmask', at(44, 4)),
    row('a disclosure of both secrets', 'unmask', at(44, 0)),
  ];
}

export const VECTORS_FILE: string = join(import.meta.dirname, 'secagg.json');

export function asText(vectors: SecaggVectors): string {
  return `${JSON.stringify(vectors, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(VECTORS_FILE, asText(makeVectors()));
