/**
 * Known answers of shares mode, made with fixed seeds: `node aggregation/test/vectors/shares-vectors.ts` writes `shares.json` beside
 * this file, and `shares/vectors.test.ts` holds the code and the documents against it. All byte strings are hexadecimal.
 */
import {
  encodeSharesSession,
  judgeShareInput,
  openShares,
  sharesContextOf,
  sumRequest,
  takeRequest,
} from '@carapace/aggregation';
import type { Deposit } from '@carapace/aggregation';
import { addUp, aggregatorOf, inputOf, makeSharesWorld } from '@carapace/aggregation/testing';
import { toHex } from '@carapace/crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeShareInput } from '../../src/shares/wire/share-input.ts';

interface Refusal {
  readonly what: string;
  /** Which decoder is to refuse. */
  readonly kind: string;
  readonly bytes: string;
  readonly code: string;
}

export interface SharesVectors {
  readonly what: string;
  readonly session: string;
  readonly roster: string;
  readonly context: string;
  /** X25519 secret of the aggregator for this round. */
  readonly aggregatorSecret: string;
  readonly identitySeeds: { readonly aggregator: string; readonly clients: readonly string[] };
  readonly lanes: readonly (readonly number[])[];
  /** Seeds of the aggregator's shares, as the key stream takes them, of the members in the sum. */
  readonly seeds: readonly string[];
  /** That open the digests of the deposits; the coordinator alone has them. */
  readonly nonces: readonly string[];
  readonly messages: Readonly<Record<string, string | readonly string[]>>;
  readonly sums: readonly number[];
  readonly refused: readonly Refusal[];
}

export const SHARES_VECTORS_FILE: string = join(import.meta.dirname, 'shares.json');

/** Four clients, of whom the last falls silent. */
export function makeSharesVectors(): SharesVectors {
  const world = makeSharesWorld('vectors', 4, { values: 4 });
  const { session, people, aggregator } = world;
  const state = aggregatorOf(world);
  const lanes = [0, 1, 2].map((member) => Uint32Array.from({ length: 6 }, (_, i) => (member * 77 + i * 31) % 256));
  const inputs = lanes.map((values, member) => inputOf(world, member, values, state.outbox));
  const request = sumRequest(
    session,
    inputs.map((input, member) => depositOf(world.session, member, input)),
  );
  const taken = takeRequest(state, request);
  if (taken.kind === 'refused') throw new Error(taken.code);
  const { answer } = addUp(state, request);
  const opening = openShares(session, [0, 1, 2], answer);
  inputs.forEach((input, member) => opening.add(member, input));
  const messages = {
    'aggregator-key': toHex(state.outbox),
    'share-input': inputs.map(toHex),
    'sum-request': toHex(request),
    'share-sum': toHex(answer),
  };
  const encoded = toHex(encodeSharesSession(session));
  return {
    what: 'four clients, four values of 8 bits and two lanes of weight; the last client falls silent',
    session: encoded,
    roster: toHex(world.roster),
    context: toHex(sharesContextOf(session)),
    aggregatorSecret: toHex(state.secret),
    identitySeeds: {
      aggregator: toHex(aggregator.key.exportSeed()),
      clients: people.map(({ key }) => toHex(key.exportSeed())),
    },
    lanes: lanes.map((values) => Array.from(values)),
    seeds: [...taken.seeds.values()].map(toHex),
    nonces: inputs.map((input) => toHex(decodeShareInput(sharesContextOf(session), input).nonce)),
    messages,
    sums: Array.from(opening.open()!),
    refused: refusals(encoded, messages['aggregator-key'], messages['share-input'][0]!, messages['share-sum']),
  };
}

function refusals(session: string, key: string, input: string, sum: string): Refusal[] {
  const swap = (text: string, at: number, byte: string): string =>
    text.slice(0, 2 * at) + byte + text.slice(2 * at + 2);
  const malformed = 'MESSAGE_INVALID';
  return [
    { what: 'another magic', kind: 'session', bytes: swap(session, 3, '53'), code: malformed },
    { what: 'another version', kind: 'session', bytes: swap(session, 4, '02'), code: malformed },
    { what: 'a byte left over', kind: 'session', bytes: `${session}00`, code: malformed },
    { what: 'cut short', kind: 'session', bytes: session.slice(0, -2), code: malformed },
    { what: 'a sum of two', kind: 'session', bytes: swap(session, 101, '02'), code: 'SECAGG_PARAMETERS' },
    { what: 'another kind', kind: 'aggregator-key', bytes: swap(key, 5, '01'), code: malformed },
    { what: 'another session', kind: 'aggregator-key', bytes: swap(key, 6, '00'), code: 'SECAGG_CONTEXT' },
    { what: 'cut short', kind: 'aggregator-key', bytes: key.slice(0, -2), code: malformed },
    { what: 'a byte left over', kind: 'share-input', bytes: `${input}00`, code: malformed },
    { what: 'another session', kind: 'share-input', bytes: swap(input, 37, '00'), code: 'SECAGG_CONTEXT' },
    { what: 'a member twice', kind: 'share-sum', bytes: swap(sum, 42, '00'), code: malformed },
    { what: 'a byte left over', kind: 'share-sum', bytes: `${sum}00`, code: malformed },
  ];
}

function depositOf(session: Parameters<typeof judgeShareInput>[0], member: number, input: Uint8Array): Deposit {
  const judged = judgeShareInput(session, member, input);
  if (judged.kind === 'refused') throw new Error(judged.code);
  return judged.deposit;
}

export function sharesText(vectors: SharesVectors): string {
  return `${JSON.stringify(vectors, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(SHARES_VECTORS_FILE, sharesText(makeSharesVectors()));
