/**
 * The sum of the masks of clients' ciphertexts, which a key holder makes for itself: what it answers for is then the sum of what
 * contributors signed, and no ciphertext that somebody chose or that a single client sent. It sees masks alone, which are uniform; the
 * bodies stay with the aggregator. Memory is that of one sum.
 */
import type { Ciphertext } from 'node-seal';
import { concatBytes } from '../../bytes.ts';
import { CryptoError } from '../../errors.ts';
import type { Bgv } from '../bgv.ts';
import { bytesOf, CIPHERTEXT_HEADER_BYTES } from '../bytes-of.ts';
import { bodyBytes } from '../encryption.ts';
import { isZero } from '../keys.ts';
import { refusing, SealScope } from '../library.ts';
import { loadCiphertext } from '../sum.ts';

export class MaskSum {
  readonly #bgv: Bgv;
  readonly #scope = new SealScope();
  /** SEAL adds polynomials in pairs: every ciphertext here is made of two masks. */
  #pairs: readonly Ciphertext[] = [];
  #added = 0;

  constructor(bgv: Bgv) {
    if (bgv.parameters.keys.kind === 'shared')
      throw new CryptoError('SEAL_PARAMETERS', 'a shared key has seeds in place of masks');
    this.#bgv = bgv;
  }

  get added(): number {
    return this.#added;
  }

  /** @throws CryptoError `SEAL_CIPHERTEXT`, `SEAL_LIMIT`; the sum is then as it was */
  add(mask: Uint8Array): void {
    const { clients } = this.#bgv.parameters;
    if (this.#added >= clients) throw new CryptoError('SEAL_LIMIT', `the parameters are for ${clients} ciphertexts`);
    checkMask(this.#bgv, mask);
    const read = new SealScope();
    try {
      const pairs = pairsOf(this.#bgv, mask).map((pair) => loadCiphertext(this.#bgv, read, pair));
      if (this.#added === 0) this.#pairs = pairs.map((pair) => this.#scope.keep(pair.copy()));
      else pairs.forEach((pair, at) => this.#addPair(at, pair));
      this.#added++;
    } finally {
      read.free();
    }
  }

  /** The mask of the sum (`CiphertextSum.ciphertexts`). */
  mask(): Uint8Array<ArrayBuffer> {
    const { seal, parameters } = this.#bgv;
    const words = this.#pairs.map((pair) => bytesOf(seal, pair).subarray(CIPHERTEXT_HEADER_BYTES));
    return concatBytes(...words).slice(0, bodyBytes(parameters));
  }

  free(): void {
    this.#scope.free();
    this.#pairs = [];
    this.#added = 0;
  }

  #addPair(at: number, pair: Ciphertext): void {
    const sum = this.#pairs[at]!;
    refusing('SEAL_CIPHERTEXT', 'the sum hides nothing', () => this.#bgv.evaluator.addInplace(sum, pair));
  }
}

function checkMask({ parameters, polynomialBytes: step }: Bgv, mask: Uint8Array): void {
  const length = bodyBytes(parameters);
  if (mask.length !== length) throw new CryptoError('SEAL_CIPHERTEXT', `a mask of ${mask.length} bytes, not ${length}`);
  for (let block = 0; block < parameters.blocks; block++) {
    if (isZero(mask.subarray(block * step, (block + 1) * step)))
      throw new CryptoError('SEAL_CIPHERTEXT', `block ${block} hides nothing: its mask is 0`);
  }
}

function pairsOf({ headers, polynomialBytes: step }: Bgv, mask: Uint8Array): Uint8Array[] {
  // An odd block out is paired with a polynomial of ones, as SEAL takes no ciphertext whose second one is 0.
  const ones = new Uint8Array(new BigUint64Array(step / 8).fill(1n).buffer);
  const pairs: Uint8Array[] = [];
  for (let from = 0; from < mask.length; from += 2 * step) {
    const second = from + step < mask.length ? mask.subarray(from + step, from + 2 * step) : ones;
    pairs.push(concatBytes(headers.ciphertext, mask.subarray(from, from + step), second));
  }
  return pairs;
}
