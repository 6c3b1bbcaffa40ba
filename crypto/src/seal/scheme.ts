/**
 * A set of parameters opened in SEAL, in either of the schemes that vectors are encrypted in here: contexts, primes and what SEAL writes
 * before each kind of object. `free` gives back all of its memory.
 */
import type { EncryptionParameters, Evaluator, Plaintext, SchemeType, SEALContext } from 'node-seal';
import { CryptoError } from '../errors.ts';
import { bytesOf, CIPHERTEXT_HEADER_BYTES, PLAINTEXT_HEADER_BYTES, SEED_BYTES, SEED_HEADER_BYTES } from './bytes-of.ts';
import { loadSeal, refusing, scoped, SealScope } from './library.ts';
import type { Seal } from './library.ts';
import type { KeyArrangement } from './parameters.ts';
import { polynomialBytes } from './profile.ts';
import type { SealProfile, SealSecurity } from './profile.ts';

export interface SchemeParameters {
  readonly profile: SealProfile;
  readonly keys: KeyArrangement;
  readonly clients: number;
  readonly length: number;
  readonly security: SealSecurity;
  readonly blocks: number;
}

export interface Scheme<P extends SchemeParameters = SchemeParameters> {
  readonly seal: Seal;
  readonly parameters: P;
  readonly context: SEALContext;
  readonly evaluator: Evaluator;
  /** Primes of a key: those of a ciphertext, and the special one where there is one. */
  readonly keyPrimes: readonly bigint[];
  readonly dataPrimes: readonly bigint[];
  /** Of one polynomial of a ciphertext. */
  readonly polynomialBytes: number;
  /** What SEAL writes before the words of each kind of object. */
  readonly headers: Headers;
  free(): void;
}

interface Headers {
  readonly ciphertext: Uint8Array;
  readonly seeded: Uint8Array;
  readonly seed: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** @throws CryptoError `SEAL_PARAMETERS` when SEAL does not take the parameters */
export async function openScheme<S>(open: (scope: SealScope, seal: Seal) => S): Promise<S> {
  const seal = await loadSeal();
  const scope = new SealScope();
  try {
    return open(scope, seal);
  } catch (error) {
    scope.free();
    throw error;
  }
}

/** @param zero a vector of zeros, encoded as all are */
export function schemeIn<P extends SchemeParameters>(
  scope: SealScope,
  { seal, context, parameters, zero }: { seal: Seal; context: SEALContext; parameters: P; zero: Plaintext },
): Scheme<P> {
  return {
    seal,
    parameters,
    context,
    evaluator: scope.keep(new seal.Evaluator(context)),
    keyPrimes: primesOf(scope, scope.keep(scope.keep(context.keyContextData()).parms())),
    dataPrimes: primesOf(scope, scope.keep(scope.keep(context.firstContextData()).parms())),
    polynomialBytes: polynomialBytes(parameters.profile),
    headers: headersOf(seal, context, zero),
    free: () => scope.free(),
  };
}

/** A context over the ring of the parameters, in any of SEAL's schemes. @throws CryptoError `SEAL_PARAMETERS` */
export function contextOf(
  scope: SealScope,
  seal: Seal,
  scheme: SchemeType,
  { profile, security, plainBits }: Pick<SchemeParameters, 'profile' | 'security'> & { readonly plainBits?: number },
): SEALContext {
  const { dimension, dataBits, specialBits } = profile;
  const level = { 128: seal.SecLevelType.tc128, 192: seal.SecLevelType.tc192, 256: seal.SecLevelType.tc256 }[security];
  return refusing('SEAL_PARAMETERS', 'SEAL takes no such ring', () => {
    const choice = scope.keep(new seal.EncryptionParameters(scheme));
    choice.setPolyModulusDegree(dimension);
    const bits = Int32Array.from(specialBits === null ? dataBits : [...dataBits, specialBits]);
    choice.setCoeffModulus(scope.keep(seal.CoeffModulus.Create(dimension, bits)));
    if (scheme !== seal.SchemeType.ckks && plainBits !== undefined)
      choice.setPlainModulus(scope.keep(seal.PlainModulus.Batching(dimension, plainBits)));
    const context = scope.keep(new seal.SEALContext(choice, true, level));
    if (!context.parametersSet()) throw new CryptoError('SEAL_PARAMETERS', 'SEAL takes no such ring');
    return context;
  });
}

function primesOf(scope: SealScope, parameters: EncryptionParameters): bigint[] {
  const primes = scope.keep(parameters.coeffModulus());
  return Array.from({ length: primes.size() }, (_, i) => scope.keep(primes.get(i)!).value());
}

/** From one object of each kind, made under a key that is thrown away. */
function headersOf(seal: Seal, context: SEALContext, zero: Plaintext): Headers {
  return scoped((scope) => {
    const generator = scope.keep(new seal.KeyGenerator(context));
    const secretKey = scope.keep(generator.secretKey());
    const publicKey = scope.keep(generator.createPublicKey());
    const encryptor = scope.keep(new seal.Encryptor(context, publicKey, secretKey));
    const ciphertext = scope.keep(new seal.Ciphertext());
    encryptor.encrypt(zero, ciphertext);
    const seeded = bytesOf(seal, scope.keep(encryptor.encryptSymmetricSerializable(zero)));
    return {
      ciphertext: bytesOf(seal, ciphertext).slice(0, CIPHERTEXT_HEADER_BYTES),
      seeded: seeded.slice(0, CIPHERTEXT_HEADER_BYTES),
      seed: seeded.slice(-SEED_BYTES - SEED_HEADER_BYTES, -SEED_BYTES),
      publicKey: bytesOf(seal, publicKey).slice(0, CIPHERTEXT_HEADER_BYTES),
      secretKey: bytesOf(seal, secretKey).slice(0, PLAINTEXT_HEADER_BYTES),
    };
  });
}
