/**
 * The messages of one round in seal mode, from fixed seeds: three clients, of whom all speak, and three key holders, of whom the third is
 * away. SEAL draws its own randomness and its polynomials are long: a few bytes stand in for each, and all around them is as it is sent.
 */
import {
  dealShares,
  encodeSealSession,
  holderList,
  openingRequest,
  roundKey,
  sealContextOf,
  sealDelivery,
} from '@carapace/aggregation';
import type { CommittedHolder, Contribution } from '@carapace/aggregation';
import { identityOf, makeSealWorld, outboxes } from '@carapace/aggregation/testing';
import { commitToShare, concatBytes, DOMAINS, exchangeKeyFromSecret, sha256, toHex } from '@carapace/crypto';
import {
  commitmentText,
  contributionText,
  keyText,
  listDigestOf,
  openingText,
  soleKeyText,
  soleSumText,
} from '../../src/seal/derivation.ts';
import { encodeCommitment } from '../../src/seal/wire/commitment.ts';
import { encodeSealInput } from '../../src/seal/wire/input.ts';
import { encodeOpeningShare } from '../../src/seal/wire/opening-share.ts';
import { encodeConfirmation } from '../../src/seal/wire/round-key.ts';
import { encodeSoleKey, encodeSoleSum } from '../../src/seal/wire/sole-holder.ts';

/** Eight bytes for a polynomial. */
const polynomial = (fill: number): Uint8Array => new Uint8Array(8).fill(fill);

/** By name, in the order of the round, in hex. */
export function makeSealVectors(): ReadonlyMap<string, string> {
  const world = makeSealWorld('example', 3);
  const { session, random } = world;
  const context = sealContextOf(session);
  const committed = [1, 2].map((number): CommittedHolder => {
    const secret = random.bytes(32);
    const publicShare = polynomial(number);
    const sealingKey = exchangeKeyFromSecret(secret).publicKey;
    const unsigned = { commitment: commitToShare(context, number, publicShare), sealingKey };
    const signature = identityOf(world, number).sign(DOMAINS.sealHolder, commitmentText(context, number, unsigned));
    const shares = [1, 2, 3].map((to) => polynomial(16 * number + to));
    const outbox = encodeCommitment(context, { ...unsigned, signature });
    return { kind: 'committed', session, number, secret, publicShare, shares, outbox };
  });
  const list = holderList(session, outboxes(committed));
  const dealt = committed.map((state) => {
    const outcome = dealShares(state, list, identityOf(world, state.number), random);
    if (outcome.kind === 'refused') throw new Error(outcome.why);
    return outcome.state;
  });
  const publicKey = concatBytes(polynomial(3), polynomial(255));
  const agreed = { list: listDigestOf(list), dealers: [1, 2], publicKey };
  const keyDigest = sha256(publicKey);
  const confirmations = [1, 2].map((number): [number, Uint8Array] => {
    const text = keyText(context, agreed.list, agreed.dealers, keyDigest);
    const signature = identityOf(world, number).sign(DOMAINS.sealKey, text);
    return [number, encodeConfirmation(context, { dealers: agreed.dealers, keyDigest, signature })];
  });
  const inputs = world.people.map(({ key }, member) => {
    const [body, mask] = [polynomial(64 + member), polynomial(80 + member)];
    const unsigned = { member, bodyDigest: sha256(body), maskDigest: sha256(mask) };
    const signature = key.sign(DOMAINS.sealContribution, contributionText(context, keyDigest, unsigned));
    return { contribution: { ...unsigned, signature }, body, mask };
  });
  const contributions = inputs.map(({ contribution }): Contribution => contribution);
  const request = openingRequest(session, { quorum: [1, 2], bodyDigest: sha256(polynomial(195)), contributions });
  const answer = { request: sha256(request), maskDigest: sha256(polynomial(243)), share: polynomial(9) };
  const signature = identityOf(world, 1).sign(DOMAINS.sealOpening, openingText(context, 1, answer));
  const sole = { publicKey: concatBytes(polynomial(3), polynomial(4)), request: answer.request, sums: polynomial(1) };
  const soleKey = soleKeyText(context, sha256(sole.publicKey));
  const signed = {
    key: identityOf(world, 1).sign(DOMAINS.sealSoleKey, soleKey),
    sum: identityOf(world, 1).sign(DOMAINS.sealSoleSum, soleSumText(context, sole)),
  };
  const messages: [string, Uint8Array][] = [
    ['session', encodeSealSession(session)],
    ['context', context],
    ['commitment', committed[0]!.outbox],
    ['holder-list', list],
    ['deal', dealt[0]!.outbox],
    ['delivery', sealDelivery(session, outboxes(dealt), 2)],
    ['confirmation', confirmations[0]![1]],
    ['round-key', roundKey(session, agreed, new Map(confirmations))],
    ['seal-input', encodeSealInput(context, inputs[0]!)],
    ['opening-request', request],
    ['opening-share', encodeOpeningShare(context, { ...answer, signature })],
    ['sole-key', encodeSoleKey(context, { ...sole, signature: signed.key })],
    ['sole-sum', encodeSoleSum(context, { ...sole, signature: signed.sum })],
  ];
  return new Map(messages.map(([name, bytes]) => [name, toHex(bytes)]));
}
