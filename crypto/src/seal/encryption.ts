/**
 * A vector of small integers as ciphertexts: values in lanes of slots, slots in blocks. The first polynomials of all blocks come first
 * and the second ones after them, each of which a key holder needs alone; under a shared key the second ones are seeds of 64 bytes.
 */
import type { Encryptor, Plaintext, PublicKey } from 'node-seal';
import { CryptoError } from '../errors.ts';
import { packLanes } from '../words/lanes.ts';
import type { Bgv } from './bgv.ts';
import { CIPHERTEXT_HEADER_BYTES, SEED_BYTES, viewOf } from './bytes-of.ts';
import { loadPublicKey, loadSecretKey } from './keys.ts';
import { scoped } from './library.ts';
import type { SealScope } from './library.ts';
import type { SealParameters } from './parameters.ts';
import { polynomialBytes } from './profile.ts';
import type { Scheme, SchemeParameters } from './scheme.ts';

export interface Ciphertexts {
  /** c0 of every block. */
  readonly body: Uint8Array;
  /** c1 of every block, or its seed. */
  readonly mask: Uint8Array;
}

export function bodyBytes({ profile, blocks }: SchemeParameters): number {
  return blocks * polynomialBytes(profile);
}

export function maskBytes({ profile, blocks, keys }: SchemeParameters): number {
  return blocks * (keys.kind === 'shared' ? SEED_BYTES : polynomialBytes(profile));
}

/** @throws CryptoError `SEAL_VECTOR`, `SEAL_KEY` */
export function encryptUnderPublicKey(bgv: Bgv, publicKey: Uint8Array, values: Uint32Array): Ciphertexts {
  return withSlots(bgv, values, (encode) =>
    encryptBlocks(bgv, encode, (scope) => {
      const key = loadPublicKey(bgv, scope, publicKey);
      return publicBlock(bgv, scope.keep(new bgv.seal.Encryptor(bgv.context, key)));
    }),
  );
}

/** With the secret key that all parties of a `shared` arrangement have. @throws CryptoError `SEAL_VECTOR`, `SEAL_KEY` */
export function encryptUnderSharedKey(bgv: Bgv, secretKey: Uint8Array, values: Uint32Array): Ciphertexts {
  return withSlots(bgv, values, (encode) => encryptSeeded(bgv, secretKey, encode));
}

/** Writes what one block holds. */
export type EncodeBlock = (block: number, plaintext: Plaintext) => void;

/** Under a secret key, with seeds in place of second polynomials. @throws CryptoError `SEAL_KEY` */
export function encryptSeeded(scheme: Scheme, secretKey: Uint8Array, encode: EncodeBlock): Ciphertexts {
  return encryptBlocks(scheme, encode, (scope) => {
    const key = loadSecretKey(scheme, scope, secretKey);
    const encryptor = new scheme.seal.Encryptor(scheme.context, throwawayKey(scheme, scope), key);
    return seededBlock(scheme, scope.keep(encryptor));
  });
}

type EncryptBlock = (plaintext: Plaintext, body: Uint8Array, mask: Uint8Array) => void;

function encryptBlocks(scheme: Scheme, encode: EncodeBlock, open: (scope: SealScope) => EncryptBlock): Ciphertexts {
  const { parameters, seal } = scheme;
  const body = new Uint8Array(bodyBytes(parameters));
  const mask = new Uint8Array(maskBytes(parameters));
  const { blocks } = parameters;
  const [bodyStep, maskStep] = [body.length / blocks, mask.length / blocks];
  scoped((scope) => {
    const encrypt = open(scope);
    for (let block = 0; block < blocks; block++) {
      scoped((inner) => {
        const plaintext = inner.keep(new seal.Plaintext());
        encode(block, plaintext);
        encrypt(plaintext, body.subarray(block * bodyStep), mask.subarray(block * maskStep));
      });
    }
  });
  return { body, mask };
}

function withSlots(bgv: Bgv, values: Uint32Array, encrypt: (encode: EncodeBlock) => Ciphertexts): Ciphertexts {
  const { dimension } = bgv.parameters.profile;
  const slots = slotsOf(bgv.parameters, values);
  const some = new BigUint64Array(dimension);
  const ciphertexts = encrypt((block, plaintext) => {
    const held = slots.subarray(block * dimension, (block + 1) * dimension);
    some.set(held);
    some.fill(0n, held.length);
    bgv.encoder.encode(some, plaintext);
  });
  for (const words of [slots, some]) words.fill(0n);
  return ciphertexts;
}

function publicBlock({ seal, polynomialBytes: step }: Scheme, encryptor: Encryptor): EncryptBlock {
  return (plaintext, body, mask) => {
    scoped((scope) => {
      const ciphertext = scope.keep(new seal.Ciphertext());
      encryptor.encrypt(plaintext, ciphertext);
      const words = viewOf(seal, ciphertext).subarray(CIPHERTEXT_HEADER_BYTES);
      body.set(words.subarray(0, step));
      mask.set(words.subarray(step));
    });
  };
}

function seededBlock({ seal, polynomialBytes: step }: Scheme, encryptor: Encryptor): EncryptBlock {
  return (plaintext, body, mask) => {
    scoped((scope) => {
      const bytes = viewOf(seal, scope.keep(encryptor.encryptSymmetricSerializable(plaintext)));
      body.set(bytes.subarray(CIPHERTEXT_HEADER_BYTES, CIPHERTEXT_HEADER_BYTES + step));
      mask.set(bytes.subarray(-SEED_BYTES));
    });
  };
}

/** SEAL's encryptor takes no secret key without a public one, which is never used here. */
function throwawayKey({ seal, context }: Scheme, scope: SealScope): PublicKey {
  return scope.keep(scope.keep(new seal.KeyGenerator(context)).createPublicKey());
}

/** @throws CryptoError `SEAL_VECTOR` */
function slotsOf(parameters: SealParameters, values: Uint32Array): BigUint64Array<ArrayBuffer> {
  const { length, maxValue, laneBits, lanesPerSlot } = parameters;
  if (values.length !== length) throw new CryptoError('SEAL_VECTOR', `${values.length} values, not ${length}`);
  if (largest(values) > maxValue) throw new CryptoError('SEAL_VECTOR', `a value above ${maxValue}`);
  return packLanes(values, { laneBits, lanesPerWord: lanesPerSlot });
}

/** A loop over places: `some` and iterators take as long as a quarter of the encryption. */
function largest(values: Uint32Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) if (values[i]! > most) most = values[i]!;
  return most;
}
