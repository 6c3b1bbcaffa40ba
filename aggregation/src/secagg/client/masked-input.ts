/** Step 2 of the client: the lanes under the mask of its own and one mask for every neighbour that dealt shares. */
import { exchangeKeyFromSecret } from '@carapace/crypto';
import type { RandomSource } from '@carapace/crypto';
import { bindingOf, pairSeedOf, pairSign, selfSeedOf } from '../derivation.ts';
import { graphOf } from '../graph.ts';
import { contextOf, maskOf } from '../session.ts';
import type { SignedSeed } from '../vector-mask.ts';
import { encodeMaskedInput } from '../wire/masked-input.ts';
import { maskKeyOf } from './held-shares.ts';
import type { Keyed, Masked } from './state.ts';

/** @throws AggregationError `VECTOR_LENGTH` or `QUANTISE_RANGE` when the lanes are not of the session */
export function maskInput(state: Keyed, lanes: Uint32Array, random: RandomSource): Masked {
  const { session, member, secrets, keys, dealers, held } = state;
  const context = contextOf(session);
  const payload = maskOf(session).mask(lanes, maskSeeds(state, bindingOf(context, keys)), random);
  const outbox = encodeMaskedInput(context, { member, payload });
  return { phase: 'masked', session, member, secrets: { mask: secrets.mask }, keys, dealers, held, outbox };
}

function maskSeeds(state: Keyed, binding: Uint8Array): SignedSeed[] {
  const { session, member, secrets, keys, dealers } = state;
  const peers = new Set(graphOf(session, keys).peers(member));
  const own = exchangeKeyFromSecret(secrets.mask);
  const pairs = dealers
    .filter((peer) => peer !== member && peers.has(peer))
    .map((peer): SignedSeed => {
      const seed = pairSeedOf(binding, own, maskKeyOf(keys, peer), member, peer);
      return { seed, sign: pairSign(member, peer) };
    });
  return [{ seed: selfSeedOf(binding, secrets.self, member), sign: 1 }, ...pairs];
}
