/**
 * A vector of small integers as ciphertexts: values in lanes of slots, slots in blocks. The first polynomials of all blocks come first
 * and the second ones after them, each of which a key holder needs alone; under a shared key the second ones are seeds of 64 bytes.
 */
import type { Encryptor } from 'node-seal';
import { CryptoError } from '../errors.ts';
import { packLanes } from '../words/lanes.ts';
import type { Bgv } from './bgv.ts';
import { bytesOf, CIPHERTEXT_HEADER_BYTES, SEED_BYTES } from './bytes-of.ts';
import { loadPublicKey, loadSecretKey } from './keys.ts';
import { scoped, SealScope } from './library.ts';
import type { SealParameters } from './parameters.ts';
import { polynomialBytes } from './profile.ts';

export interface Ciphertexts {
  /** c0 of every block. */
  readonly body: Uint8Array;
  /** c1 of every block, or its seed. */
  readonly mask: Uint8Array;
}

export function bodyBytes({ profile, blocks }: SealParameters): number {
  return blocks * polynomialBytes(profile);
}

export function maskBytes({ profile, blocks, keys }: SealParameters): number {
  return blocks * (keys.kind === 'shared' ? SEED_BYTES : polynomialBytes(profile));
}

/** @throws CryptoError `SEAL_VECTOR`, `SEAL_KEY` */
export function encryptUnderPublicKey(bgv: Bgv, publicKey: Uint8Array, values: Uint32Array): Ciphertexts {
  return encryptedBy(bgv, values, (scope) => {
    const key = loadPublicKey(bgv, scope, publicKey);
    return publicBlock(bgv, scope.keep(new bgv.seal.Encryptor(bgv.context, key)));
  });
}

/** With the secret key that all parties of a `shared` arrangement have. @throws CryptoError `SEAL_VECTOR`, `SEAL_KEY` */
export function encryptUnderSharedKey(bgv: Bgv, secretKey: Uint8Array, values: Uint32Array): Ciphertexts {
  return encryptedBy(bgv, values, (scope) => {
    const key = loadSecretKey(bgv, scope, secretKey);
    const encryptor = scope.keep(new bgv.seal.Encryptor(bgv.context, throwawayKey(bgv, scope), key));
    return seededBlock(bgv, encryptor);
  });
}

type EncryptBlock = (slots: BigUint64Array, body: Uint8Array, mask: Uint8Array) => void;

function encryptedBy(bgv: Bgv, values: Uint32Array, open: (scope: SealScope) => EncryptBlock): Ciphertexts {
  const { parameters } = bgv;
  const slots = slotsOf(parameters, values);
  const body = new Uint8Array(bodyBytes(parameters));
  const mask = new Uint8Array(maskBytes(parameters));
  const { blocks, profile } = parameters;
  const [bodyStep, maskStep] = [body.length / blocks, mask.length / blocks];
  scoped((scope) => {
    const encrypt = open(scope);
    for (let block = 0; block < blocks; block++) {
      const some = new BigUint64Array(profile.dimension);
      some.set(slots.subarray(block * profile.dimension, (block + 1) * profile.dimension));
      encrypt(some, body.subarray(block * bodyStep), mask.subarray(block * maskStep));
    }
  });
  slots.fill(0n);
  return { body, mask };
}

function publicBlock(bgv: Bgv, encryptor: Encryptor): EncryptBlock {
  return (slots, body, mask) => {
    scoped((scope) => {
      const plaintext = scope.keep(new bgv.seal.Plaintext());
      bgv.encoder.encode(slots, plaintext);
      const ciphertext = scope.keep(new bgv.seal.Ciphertext());
      encryptor.encrypt(plaintext, ciphertext);
      const words = bytesOf(bgv.seal, ciphertext).subarray(CIPHERTEXT_HEADER_BYTES);
      body.set(words.subarray(0, bgv.polynomialBytes));
      mask.set(words.subarray(bgv.polynomialBytes));
    });
  };
}

function seededBlock(bgv: Bgv, encryptor: Encryptor): EncryptBlock {
  return (slots, body, mask) => {
    scoped((scope) => {
      const plaintext = scope.keep(new bgv.seal.Plaintext());
      bgv.encoder.encode(slots, plaintext);
      const bytes = bytesOf(bgv.seal, scope.keep(encryptor.encryptSymmetricSerializable(plaintext)));
      body.set(bytes.subarray(CIPHERTEXT_HEADER_BYTES, CIPHERTEXT_HEADER_BYTES + bgv.polynomialBytes));
      mask.set(bytes.subarray(-SEED_BYTES));
    });
  };
}

/** SEAL's encryptor takes no secret key without a public one, which is never used here. */
function throwawayKey(bgv: Bgv, scope: SealScope): ReturnType<typeof loadPublicKey> {
  return scope.keep(scope.keep(new bgv.seal.KeyGenerator(bgv.context)).createPublicKey());
}

/** @throws CryptoError `SEAL_VECTOR` */
function slotsOf(parameters: SealParameters, values: Uint32Array): BigUint64Array<ArrayBuffer> {
  const { length, maxValue, laneBits, lanesPerSlot } = parameters;
  if (values.length !== length) throw new CryptoError('SEAL_VECTOR', `${values.length} values, not ${length}`);
  if (values.some((value) => value > maxValue)) throw new CryptoError('SEAL_VECTOR', `a value above ${maxValue}`);
  return packLanes(values, { laneBits, lanesPerWord: lanesPerSlot });
}
