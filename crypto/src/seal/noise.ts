/**
 * How large the noise of a sum of ciphertexts gets, in units of the plain modulus t: a ciphertext opens to m + t E, and is right as
 * long as that is within Q/2. Each coefficient of E is a sum of many independent small terms, and is taken to be below {@link DEVIATIONS}
 * standard deviations: a Gaussian tail puts more than that at 2^-74. Encryptions are honest; what a dishonest one adds, the budget of the
 * opened sum shows.
 */
import type { SealProfile } from './profile.ts';

/** Deviation of SEAL's errors: a centred binomial distribution of 21 + 21 coins (`SEAL_DEFAULT...`, 3.24). */
const ERROR_VARIANCE = 10.5;
/** Of a secret key's and an ephemeral key's coefficients: -1, 0 and 1 alike. */
const TERNARY_VARIANCE = 2 / 3;
/** Of a rounding, and of a plaintext's coefficient in units of t. */
export const UNIFORM_VARIANCE: number = 1 / 12;

export const DEVIATIONS = 10;

/** Who can encrypt: holders of the secret key, or everybody under the sum of `holders` keys. */
export type Encryption = { readonly kind: 'symmetric' } | { readonly kind: 'public'; readonly holders: number };

/** log2 of the bound on |E| after `clients` additions. */
export function noiseBits(profile: SealProfile, encryption: Encryption, clients: number): number {
  const variance = clients * (freshVariance(profile, encryption) + UNIFORM_VARIANCE);
  return Math.log2(DEVIATIONS * Math.sqrt(variance));
}

export function freshVariance({ dimension, specialBits }: SealProfile, encryption: Encryption): number {
  if (encryption.kind === 'symmetric') return ERROR_VARIANCE;
  // e0 + e1 s - e u, where s and e are sums over the holders.
  const secretNorm = dimension * TERNARY_VARIANCE * encryption.holders;
  const direct = ERROR_VARIANCE * (1 + 2 * secretNorm);
  if (specialBits === null) return direct;
  // Rounded by the special prime: what was there is divided by it, and two roundings come in, one of them times s.
  return direct / 4 ** (specialBits - 1) + UNIFORM_VARIANCE * (1 + secretNorm);
}
