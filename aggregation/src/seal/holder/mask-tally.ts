/** The masks of a request's contributors, which a key holder adds up by itself: it answers for no mask that it was told. */
import { equalBytes, MaskSum, sha256 } from '@carapace/crypto';
import type { Bgv } from '@carapace/crypto';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import type { Refused } from '../../secagg/stop.ts';
import type { OpeningRequest } from '../wire/input.ts';

/** In any order. To be freed. */
export interface MaskTally {
  /** Why a mask is not taken, or null. */
  add(member: number, mask: Uint8Array): Refused | null;
  /** @throws Error while masks are missing */
  sum(): Uint8Array;
  free(): void;
}

export function openMaskTally(bgv: Bgv, { contributions }: OpeningRequest): MaskTally {
  const wanted = new Map(contributions.map(({ member, maskDigest }) => [member, maskDigest]));
  const sum = new MaskSum(bgv);
  return {
    add: (member, mask) => {
      try {
        const digest = wanted.get(member);
        if (digest === undefined) throw new Stop('SECAGG_MEMBER', `no mask of member ${member} is missing`);
        if (!equalBytes(sha256(mask), digest))
          throw new Stop('SECAGG_SHARE_WRONG', `the mask is not the one that member ${member} signed`);
        sum.add(mask);
        wanted.delete(member);
        return null;
      } catch (error) {
        return refusalOf(error);
      }
    },
    sum: () => {
      if (wanted.size > 0) throw new Error(`${wanted.size} masks are missing`);
      return sum.mask();
    },
    free: () => {
      sum.free();
    },
  };
}
