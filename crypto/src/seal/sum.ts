/**
 * Sums of ciphertexts, one client's after the other: memory is that of one sum, however many are in it. SEAL looks at every residue of
 * what arrives; lengths are looked at before, and nothing of a vector is added when any part of it is refused.
 */
import type { Ciphertext } from 'node-seal';
import { concatBytes } from '../bytes.ts';
import { CryptoError } from '../errors.ts';
import { bytesOf, CIPHERTEXT_HEADER_BYTES, SEED_BYTES } from './bytes-of.ts';
import { bodyBytes, maskBytes } from './encryption.ts';
import type { Ciphertexts } from './encryption.ts';
import { isZero } from './keys.ts';
import { refusing, scoped, SealScope } from './library.ts';
import type { Scheme } from './scheme.ts';

export class CiphertextSum {
  readonly #scheme: Scheme;
  readonly #scope = new SealScope();
  readonly #blocks: Ciphertext[] = [];
  #added = 0;

  constructor(scheme: Scheme) {
    this.#scheme = scheme;
  }

  get added(): number {
    return this.#added;
  }

  /** @throws CryptoError `SEAL_CIPHERTEXT`, `SEAL_LIMIT`; the sum is then as it was */
  add(ciphertexts: Ciphertexts): void {
    for (const _ of this.adding(ciphertexts));
  }

  /** As {@link add}, with a rest after every block of the two passes: all are read before the first is added. */
  *adding(ciphertexts: Ciphertexts): Generator<undefined> {
    const { parameters } = this.#scheme;
    if (this.#added >= parameters.clients)
      throw new CryptoError('SEAL_LIMIT', `the parameters are for ${parameters.clients} ciphertexts`);
    checkLengths(this.#scheme, ciphertexts);
    const read = new SealScope();
    try {
      const blocks: Ciphertext[] = [];
      for (let block = 0; block < parameters.blocks; block++) {
        blocks.push(readBlock(this.#scheme, read, ciphertexts, block));
        yield;
      }
      for (const [block, ciphertext] of blocks.entries()) {
        this.#addBlock(block, ciphertext);
        yield;
      }
      this.#added++;
    } finally {
      read.free();
    }
  }

  /** Both polynomials of the sum; seeds are expanded by now. */
  ciphertexts(): Ciphertexts {
    const { seal, polynomialBytes } = this.#scheme;
    const body = new Uint8Array(this.#blocks.length * polynomialBytes);
    const mask = new Uint8Array(body.length);
    this.#blocks.forEach((ciphertext, block) => {
      const words = bytesOf(seal, ciphertext).subarray(CIPHERTEXT_HEADER_BYTES);
      body.set(words.subarray(0, polynomialBytes), block * polynomialBytes);
      mask.set(words.subarray(polynomialBytes), block * polynomialBytes);
    });
    return { body, mask };
  }

  free(): void {
    this.#scope.free();
    this.#blocks.length = 0;
    this.#added = 0;
  }

  #addBlock(block: number, ciphertext: Ciphertext): void {
    const { evaluator } = this.#scheme;
    const sum = this.#blocks[block];
    if (sum === undefined) this.#blocks[block] = this.#scope.keep(ciphertext.copy());
    else refusing('SEAL_CIPHERTEXT', 'the sum hides nothing', () => evaluator.addInplace(sum, ciphertext));
  }
}

/** Whether these may be added, without adding them. @throws CryptoError `SEAL_CIPHERTEXT` */
export function checkCiphertexts(scheme: Scheme, ciphertexts: Ciphertexts): void {
  checkLengths(scheme, ciphertexts);
  for (let block = 0; block < scheme.parameters.blocks; block++) {
    scoped((scope) => readBlock(scheme, scope, ciphertexts, block));
  }
}

function checkLengths({ parameters }: Scheme, { body, mask }: Ciphertexts): void {
  if (body.length !== bodyBytes(parameters) || mask.length !== maskBytes(parameters)) {
    const wanted = `${bodyBytes(parameters)} and ${maskBytes(parameters)}`;
    throw new CryptoError('SEAL_CIPHERTEXT', `${body.length} and ${mask.length} bytes, not ${wanted}`);
  }
}

function readBlock(scheme: Scheme, scope: SealScope, { body, mask }: Ciphertexts, block: number): Ciphertext {
  const { headers, polynomialBytes: step, parameters } = scheme;
  const first = body.subarray(block * step, (block + 1) * step);
  if (parameters.keys.kind === 'shared') {
    const seed = mask.subarray(block * SEED_BYTES, (block + 1) * SEED_BYTES);
    return loadCiphertext(scheme, scope, concatBytes(headers.seeded, first, headers.seed, seed));
  }
  const second = mask.subarray(block * step, (block + 1) * step);
  if (isZero(second)) throw new CryptoError('SEAL_CIPHERTEXT', `block ${block} hides nothing: its mask is 0`);
  return loadCiphertext(scheme, scope, concatBytes(headers.ciphertext, first, second));
}

/** @throws CryptoError `SEAL_CIPHERTEXT` */
export function loadCiphertext(scheme: Scheme, scope: SealScope, bytes: Uint8Array): Ciphertext {
  const ciphertext = scope.keep(new scheme.seal.Ciphertext());
  refusing('SEAL_CIPHERTEXT', 'no ciphertext', () => ciphertext.loadFromArray(scheme.context, bytes));
  return ciphertext;
}
