/**
 * Two operations on polynomials modulo Q that SEAL has inside and does not offer: both are had from contexts of its other schemes over
 * the same primes. CKKS opens (c0, c1) to c0 + c1 s as it is, BFV transforms whatever coefficients stand in a ciphertext.
 */
import type { Decryptor, SEALContext, SecretKey } from 'node-seal';
import { concatBytes } from '../../bytes.ts';
import type { Bgv } from '../bgv.ts';
import { bytesOf, CIPHERTEXT_HEADER_BYTES, markForm, PLAINTEXT_HEADER_BYTES } from '../bytes-of.ts';
import { refusing, scoped, SealScope } from '../library.ts';
import { contextOf } from '../scheme.ts';
import { loadCiphertext } from '../sum.ts';

export interface RingKey {
  /** addend + factor * key, all in transformed form. @throws CryptoError `SEAL_CIPHERTEXT` */
  multiplyAdd(factor: Uint8Array, addend: Uint8Array): Uint8Array<ArrayBuffer>;
  /** The transformed form of a polynomial. */
  transform(coefficients: Uint8Array): Uint8Array<ArrayBuffer>;
  free(): void;
}

const PARMS_ID_AT = 16;
const PARMS_ID_BYTES = 32;
const SCALE_AT = 73;

/** @param key one polynomial over the primes of a ciphertext, transformed. @throws CryptoError `SEAL_KEY` */
export function openRingKey(bgv: Bgv, key: Uint8Array): RingKey {
  const scope = new SealScope();
  try {
    const opener = openerUnder(bgv, scope, key);
    const transformer = transformerOf(bgv, scope);
    return { multiplyAdd: opener, transform: transformer, free: () => scope.free() };
  } catch (error) {
    scope.free();
    throw error;
  }
}

function openerUnder(bgv: Bgv, scope: SealScope, key: Uint8Array): RingKey['multiplyAdd'] {
  const { seal } = bgv;
  const context = contextOf(scope, seal, seal.SchemeType.ckks, bgv.parameters);
  const decryptor = scope.keep(new seal.Decryptor(context, keyObject(bgv, context, scope, key)));
  const header = headerIn(bgv, scope, context);
  // Any scale that CKKS takes: it has no part in what is computed.
  new DataView(header.buffer).setFloat64(SCALE_AT, 2 ** 40, true);
  return (factor, addend) => opened(bgv, decryptor, { ...bgv, context }, concatBytes(header, addend, factor));
}

function opened(bgv: Bgv, decryptor: Decryptor, twin: Bgv, bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return scoped((scope) => {
    const ciphertext = loadCiphertext(twin, scope, bytes);
    const plaintext = scope.keep(new bgv.seal.Plaintext());
    decryptor.decrypt(ciphertext, plaintext);
    return bytesOf(bgv.seal, plaintext).slice(PLAINTEXT_HEADER_BYTES);
  });
}

function transformerOf(bgv: Bgv, scope: SealScope): RingKey['transform'] {
  const { seal, polynomialBytes } = bgv;
  const context = contextOf(scope, seal, seal.SchemeType.bfv, bgv.parameters);
  const evaluator = scope.keep(new seal.Evaluator(context));
  const header = headerIn(bgv, scope, context);
  markForm(header, 'coefficients');
  const nothing = new Uint8Array(polynomialBytes);
  // SEAL takes no ciphertext whose second polynomial is 0.
  nothing[0] = 1;
  return (coefficients) =>
    scoped((inner) => {
      const bytes = concatBytes(header, coefficients, nothing);
      const ciphertext = loadCiphertext({ ...bgv, context }, inner, bytes);
      evaluator.cipherTransformToNttInplace(ciphertext);
      return bytesOf(seal, ciphertext).slice(CIPHERTEXT_HEADER_BYTES, CIPHERTEXT_HEADER_BYTES + polynomialBytes);
    });
}

function keyObject(
  { seal, headers, keyPrimes, parameters }: Bgv,
  context: SEALContext,
  scope: SealScope,
  key: Uint8Array,
): SecretKey {
  const rest = new Uint8Array(8 * keyPrimes.length * parameters.profile.dimension - key.length);
  const bytes = concatBytes(headers.secretKey, key, rest);
  const id = scoped((inner) => {
    const generator = inner.keep(new seal.KeyGenerator(context));
    return bytesOf(seal, inner.keep(generator.secretKey())).slice(PARMS_ID_AT, PARMS_ID_AT + PARMS_ID_BYTES);
  });
  bytes.set(id, PARMS_ID_AT);
  const object = scope.keep(new seal.SecretKey());
  refusing('SEAL_KEY', 'no share of a key', () => object.loadFromArray(context, bytes));
  bytes.fill(0);
  return object;
}

function headerIn({ seal, headers }: Bgv, scope: SealScope, context: SEALContext): Uint8Array<ArrayBuffer> {
  const header = Uint8Array.from(headers.ciphertext);
  const empty = scope.keep(new seal.Ciphertext(context, scope.keep(context.firstParmsId())));
  header.set(bytesOf(seal, empty).slice(PARMS_ID_AT, PARMS_ID_AT + PARMS_ID_BYTES), PARMS_ID_AT);
  return header;
}
