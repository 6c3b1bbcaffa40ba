import {
  addKeyShares,
  commonReference,
  CiphertextSum,
  dealKey,
  encryptUnderPublicKey,
  encryptUnderSharedKey,
  generateSealKey,
  jointPublicKey,
  openBgv,
  openingShare,
  openSum,
  openWithShares,
  sealParameters,
} from '../../src/index.ts';
import type { Bgv, Ciphertexts, OpenedSum, Quorum, RandomSource, SealChoice } from '../../src/index.ts';

/** Everything that the parties of one arrangement have, in one place. */
export interface Arrangement {
  readonly bgv: Bgv;
  readonly encrypt: (values: Uint32Array) => Ciphertexts;
  readonly open: (sum: Ciphertexts) => OpenedSum;
}

export async function arrangementOf(choice: SealChoice, random: RandomSource): Promise<Arrangement> {
  const bgv = await openBgv(sealParameters(choice));
  if (choice.keys.kind === 'committee') {
    const committee = dealCommittee(bgv, random);
    const quorum = Array.from({ length: choice.keys.threshold }, (_, i) => i + 1);
    return {
      bgv,
      encrypt: (values) => encryptUnderPublicKey(bgv, committee.publicKey, values),
      open: ({ body, mask }) => openWithShares(bgv, body, sharesOf(bgv, committee, quorum, mask)),
    };
  }
  const { secretKey, publicKey } = generateSealKey(bgv);
  const encrypt = (values: Uint32Array): Ciphertexts =>
    choice.keys.kind === 'shared'
      ? encryptUnderSharedKey(bgv, secretKey, values)
      : encryptUnderPublicKey(bgv, publicKey, values);
  return { bgv, encrypt, open: (sum) => openSum(bgv, secretKey, sum) };
}

export interface DealtCommittee {
  readonly publicKey: Uint8Array;
  readonly keyShares: readonly Uint8Array[];
}

export function dealCommittee(bgv: Bgv, random: RandomSource): DealtCommittee {
  const { keys } = bgv.parameters;
  const members = keys.kind === 'committee' ? keys.members : 0;
  const reference = commonReference(bgv, new Uint8Array(32).fill(1));
  const dealt = Array.from({ length: members }, () => dealKey(bgv, reference, random));
  return {
    publicKey: jointPublicKey(
      bgv,
      reference,
      dealt.map(({ publicShare }) => publicShare),
    ),
    keyShares: dealt.map((_, to) =>
      addKeyShares(
        bgv,
        dealt.map(({ shares }) => shares[to]!),
      ),
    ),
  };
}

export function sharesOf(bgv: Bgv, { keyShares }: DealtCommittee, quorum: Quorum, mask: Uint8Array): Uint8Array[] {
  return quorum.map((number) => finished(openingShare(bgv, keyShares[number - 1]!, { number, quorum }, mask)));
}

export function finished<T>(work: Generator<undefined, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

export function sumOf(bgv: Bgv, inputs: Iterable<Ciphertexts>): Ciphertexts {
  const sum = new CiphertextSum(bgv);
  for (const input of inputs) sum.add(input);
  const ciphertexts = sum.ciphertexts();
  sum.free();
  return ciphertexts;
}

export function randomValues(length: number, maxValue: number, random: RandomSource): Uint32Array {
  const words = new Uint32Array(random.bytes(4 * length).buffer);
  return words.map((word) => word % (maxValue + 1));
}

export function totalOf(vectors: readonly Uint32Array[]): Uint32Array {
  const total = new Uint32Array(vectors[0]!.length);
  for (const vector of vectors) for (let i = 0; i < total.length; i++) total[i]! += vector[i]!;
  return total;
}
