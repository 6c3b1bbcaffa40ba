/** Inputs as the coordinator takes them: looked at whole when they arrive, and added up one after the other, in the memory of one sum. */
import {
  bodyBytes,
  checkCiphertexts,
  CiphertextSum,
  DOMAINS,
  equalBytes,
  maskBytes,
  sha256,
  verify,
} from '@carapace/crypto';
import type { Bgv } from '@carapace/crypto';
import { refusalOf, Stop } from '../../secagg/stop.ts';
import type { Refused } from '../../secagg/stop.ts';
import { contributionText } from '../derivation.ts';
import { sealContextOf, sealParametersOf } from '../session.ts';
import type { SealSession } from '../session.ts';
import { decodeSealInput, sealInputLength } from '../wire/input.ts';
import type { Contribution, SealInput } from '../wire/input.ts';

/** Length of the message that carries an input of this session. */
export function sealInputBytes(session: SealSession): number {
  const parameters = sealParametersOf(session);
  return sealInputLength(bodyBytes(parameters), maskBytes(parameters));
}

/** The receipt of an input that may be added, to be kept and handed on; or why it may not. */
export function judgeSealInput(
  bgv: Bgv,
  session: SealSession,
  publicKey: Uint8Array,
  member: number,
  message: Uint8Array,
): { readonly kind: 'admitted'; readonly contribution: Contribution } | ({ readonly kind: 'refused' } & Refused) {
  try {
    const input = checkedInput(session, publicKey, member, message);
    checkCiphertexts(bgv, input);
    return { kind: 'admitted', contribution: input.contribution };
  } catch (error) {
    return { kind: 'refused', ...refusalOf(error) };
  }
}

/** The half of an admitted input that holders add up. */
export function maskOfInput(session: SealSession, message: Uint8Array): Uint8Array {
  return decodeSealInput(sealContextOf(session), message).mask;
}

/** To be freed. */
export interface SealSum {
  /** With rests in between. @throws Stop, CryptoError `SEAL_CIPHERTEXT` when the message is none that was admitted */
  adding(member: number, message: Uint8Array): Generator<undefined>;
  /** What is opened, and the digest of what holders have to come to. */
  close(): { readonly body: Uint8Array; readonly maskDigest: Uint8Array };
  free(): void;
}

export function openSealSum(bgv: Bgv, session: SealSession, publicKey: Uint8Array): SealSum {
  const sum = new CiphertextSum(bgv);
  return {
    adding: (member, message) => sum.adding(checkedInput(session, publicKey, member, message)),
    close: () => {
      const { body, mask } = sum.ciphertexts();
      return { body, maskDigest: sha256(mask) };
    },
    free: () => sum.free(),
  };
}

/** @throws Stop, AggregationError `MESSAGE_INVALID` */
function checkedInput(session: SealSession, publicKey: Uint8Array, member: number, message: Uint8Array): SealInput {
  const context = sealContextOf(session);
  const input = decodeSealInput(context, message);
  const { contribution, body, mask } = input;
  if (contribution.member !== member)
    throw new Stop('SECAGG_MEMBER', `sent as member ${contribution.member} by ${member}`);
  const identity = session.cohort[member]?.identity;
  if (identity === undefined) throw new Stop('SECAGG_MEMBER', `no member ${member} in the cohort`);
  if (!equalBytes(contribution.bodyDigest, sha256(body)) || !equalBytes(contribution.maskDigest, sha256(mask)))
    throw new Stop('SECAGG_SHARE_WRONG', 'the receipt was made for other ciphertexts');
  if (
    !verify(
      identity,
      DOMAINS.sealContribution,
      contributionText(context, sha256(publicKey), contribution),
      contribution.signature,
    )
  )
    throw new Stop('SECAGG_SIGNATURE', `the input is not signed by member ${member} under this key`);
  return input;
}
