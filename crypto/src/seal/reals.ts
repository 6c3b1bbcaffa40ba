/**
 * Sums of real numbers under a shared key: CKKS (Cheon, Kim, Kim and Song 2017), which opens to values that are off by what the noise is
 * divided by the scale. The scale is as large as the sum of all clients leaves room for, and the bound on the error follows.
 *
 * Only who has the key may see what was opened: the error is the noise of the encryption, which tells the key to whoever has the
 * ciphertexts (Li and Micciancio 2021). That is so in one trust domain, and nowhere else: for a holder or a committee integers are summed.
 */
import type { CKKSEncoder } from 'node-seal';
import { concatBytes } from '../bytes.ts';
import { CryptoError } from '../errors.ts';
import { bodyBytes, encryptSeeded } from './encryption.ts';
import type { Ciphertexts } from './encryption.ts';
import { loadSecretKey } from './keys.ts';
import { scoped } from './library.ts';
import { DEVIATIONS, freshVariance, UNIFORM_VARIANCE } from './noise.ts';
import { isSecure, SEAL_PROFILES } from './profile.ts';
import type { SealProfile, SealSecurity } from './profile.ts';
import { contextOf, openScheme, schemeIn } from './scheme.ts';
import type { Scheme, SchemeParameters } from './scheme.ts';
import { loadCiphertext } from './sum.ts';

export interface RealChoice {
  /** How many ciphertexts may be added, 1 to 2^16 - 1. */
  readonly clients: number;
  /** Values are from minus this to this. */
  readonly maxMagnitude: number;
  readonly length: number;
  /** The largest error of an opened sum that is borne. */
  readonly precision: number;
  readonly security?: SealSecurity;
}

export interface RealParameters extends SchemeParameters {
  readonly maxMagnitude: number;
  readonly scaleBits: number;
  /** Of an opened sum of all clients, but for a Gaussian tail of 2^-74 for each value. */
  readonly errorBound: number;
}

export interface Ckks extends Scheme<RealParameters> {
  readonly encoder: CKKSEncoder;
}

/** Of SEAL's transforms, which are in floating point: relative to the largest value. */
const ENCODING_ERROR = 2 ** -46;

/** Of the first ring of one prime that has so little error: all cost the same bytes. @throws CryptoError `SEAL_PARAMETERS` */
export function realParameters(choice: RealChoice): RealParameters {
  const { clients, maxMagnitude, length, precision, security = 128 } = choice;
  const isWhole = Number.isInteger(clients) && clients >= 1 && clients <= 0xffff;
  if (!isWhole || !Number.isInteger(length) || length < 1 || !(maxMagnitude > 0 && maxMagnitude < 2 ** 40))
    throw new CryptoError('SEAL_PARAMETERS', `${clients} clients, ${length} values up to ${maxMagnitude}`);
  const [found] = Object.values(SEAL_PROFILES)
    .filter((profile) => profile.dataBits.length === 1 && isSecure(profile, security))
    .map((profile) => fit(profile, choice))
    .filter(({ errorBound }) => errorBound <= precision);
  if (found === undefined)
    throw new CryptoError(
      'SEAL_PARAMETERS',
      `no ring sums ${clients} values up to ${maxMagnitude} within ${precision}`,
    );
  return found;
}

function fit(profile: SealProfile, { clients, maxMagnitude, length, security = 128 }: RealChoice): RealParameters {
  const bits = profile.dataBits[0]!;
  // One bit is for the sign, one for what primes and noise take of the rest; SEAL takes no scale above its modulus.
  const scaleBits = Math.min(bits - 2, Math.floor(bits - 2 - Math.log2(clients * maxMagnitude)));
  const variance = clients * (freshVariance(profile, { kind: 'symmetric' }) + UNIFORM_VARIANCE);
  const noise = (DEVIATIONS * Math.sqrt(profile.dimension * variance)) / 2 ** scaleBits;
  const errorBound = noise + clients * maxMagnitude * ENCODING_ERROR;
  const blocks = Math.ceil(length / slotsOf(profile));
  const keys = { kind: 'shared' } as const;
  return Object.freeze({ profile, keys, clients, maxMagnitude, length, security, blocks, scaleBits, errorBound });
}

/** @throws CryptoError `SEAL_PARAMETERS` when SEAL does not take them */
export function openCkks(parameters: RealParameters): Promise<Ckks> {
  return openScheme((scope, seal) => {
    const context = contextOf(scope, seal, seal.SchemeType.ckks, parameters);
    const encoder = scope.keep(new seal.CKKSEncoder(context));
    const zero = scope.keep(new seal.Plaintext());
    encoder.encode(new Float64Array(encoder.slotCount()), 2 ** parameters.scaleBits, zero);
    return { ...schemeIn(scope, { seal, context, parameters, zero }), encoder };
  });
}

/** @throws CryptoError `SEAL_VECTOR`, `SEAL_KEY` */
export function encryptReals(ckks: Ckks, secretKey: Uint8Array, values: Float64Array): Ciphertexts {
  const { length, maxMagnitude, profile, scaleBits } = ckks.parameters;
  if (values.length !== length) throw new CryptoError('SEAL_VECTOR', `${values.length} values, not ${length}`);
  if (!values.every((value) => Math.abs(value) <= maxMagnitude))
    throw new CryptoError('SEAL_VECTOR', `a value that is none from -${maxMagnitude} to ${maxMagnitude}`);
  const slots = slotsOf(profile);
  return encryptSeeded(ckks, secretKey, (block, plaintext) => {
    const some = new Float64Array(slots);
    some.set(values.subarray(block * slots, (block + 1) * slots));
    ckks.encoder.encode(some, 2 ** scaleBits, plaintext);
  });
}

/**
 * @param sum both polynomials of every block (`CiphertextSum.ciphertexts`)
 * @throws CryptoError `SEAL_NOISE` when a value is larger than all clients together can make it, as under any other key
 */
export function openReals(ckks: Ckks, secretKey: Uint8Array, { body, mask }: Ciphertexts): Float64Array<ArrayBuffer> {
  const { parameters, polynomialBytes: step, headers, seal } = ckks;
  const { blocks, profile, length, clients, maxMagnitude, errorBound } = parameters;
  const wanted = bodyBytes(parameters);
  if (body.length !== wanted || mask.length !== wanted)
    throw new CryptoError('SEAL_CIPHERTEXT', `a sum of ${body.length} and ${mask.length} bytes, not ${wanted} twice`);
  const slots = slotsOf(profile);
  const values = new Float64Array(blocks * slots);
  scoped((scope) => {
    const key = loadSecretKey(ckks, scope, secretKey);
    const decryptor = scope.keep(new seal.Decryptor(ckks.context, key));
    for (let from = 0; from < wanted; from += step) {
      scoped((inner) => {
        const halves = [body, mask].map((half) => half.subarray(from, from + step));
        const plaintext = inner.keep(new seal.Plaintext());
        decryptor.decrypt(loadCiphertext(ckks, inner, concatBytes(headers.ciphertext, ...halves)), plaintext);
        values.set(ckks.encoder.decodeFloat64(plaintext) as Float64Array, (from / step) * slots);
      });
    }
  });
  const most = clients * maxMagnitude + errorBound;
  if (!values.every((value) => Math.abs(value) <= most))
    throw new CryptoError('SEAL_NOISE', `a value above the ${most} that ${clients} clients can make it`);
  return values.slice(0, length);
}

function slotsOf({ dimension }: SealProfile): number {
  return dimension / 2;
}
