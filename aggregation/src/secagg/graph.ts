/**
 * Who deals shares to whom, and with whom a client has masks. Up to 255 clients everybody with everybody. Above, a Harary graph
 * (Bell et al. 2020): the clients of the key list stand on a ring in the order of a hash over it, and each has the k/2 on both
 * sides for neighbours. Everybody computes the ring; what a coordinator can do about it by trying key lists is priced into k and t
 * (`sparse-graph.ts`).
 */
import { bindingOf, ringPlaceOf } from './derivation.ts';
import { contextOf, isSparse } from './session.ts';
import type { Session } from './session.ts';
import type { AdvertisedKeys } from './wire/advertise-keys.ts';

export interface Graph {
  /** A client's neighbours and itself, in rising order. Holds for both sides: a is among the peers of b when b is among those of a. */
  peers(member: number): readonly number[];
}

/** One graph for one list: every message of a session asks for it. */
const graphs = new WeakMap<readonly AdvertisedKeys[], { session: Session; graph: Graph }>();

export function graphOf(session: Session, keys: readonly AdvertisedKeys[]): Graph {
  const known = graphs.get(keys);
  if (known?.session === session) return known.graph;
  const members = keys.map(({ member }) => member);
  const graph = isSparse(session) ? ring(session, keys, members) : { peers: () => members };
  graphs.set(keys, { session, graph });
  return graph;
}

/** x-coordinate of the shares that a dealer deals to the peer at this place among its own. */
export function shareCoordinate(place: number): number {
  return place + 1;
}

function ring(session: Session, keys: readonly AdvertisedKeys[], members: readonly number[]): Graph {
  const reach = session.neighbours! / 2;
  if (members.length <= 2 * reach + 1) return { peers: () => members };
  const binding = bindingOf(contextOf(session), keys);
  const order = members
    .map((member) => ({ member, place: ringPlaceOf(binding, member) }))
    .sort((a, b) => (a.place < b.place ? -1 : 1))
    .map(({ member }) => member);
  const places = new Map(order.map((member, place) => [member, place]));
  const known = new Map<number, readonly number[]>();
  return {
    peers: (member) => {
      const place = places.get(member);
      if (place === undefined) return [];
      const peers = known.get(member) ?? window(order, place, reach);
      known.set(member, peers);
      return peers;
    },
  };
}

function window(order: readonly number[], place: number, reach: number): number[] {
  const length = order.length;
  const around = Array.from({ length: 2 * reach + 1 }, (_, i) => order[(place - reach + i + length) % length]!);
  return around.sort((a, b) => a - b);
}
