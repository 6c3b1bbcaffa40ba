/**
 * A client's one message on the wire: its ciphertexts, and the receipt that goes to the holders: which ciphertexts it signed. The bodies
 * stay with the coordinator; the masks go to the holders, who add them up by themselves.
 */
import type { Reader, Writer } from '@carapace/crypto';
import { CONTEXT_BYTES, frame, invalid, KIND, PREFIX_BYTES, unframe } from '../../secagg/wire/frame.ts';
import { readNumbers, writeNumbers } from './numbers.ts';

/** What a client signs of its input, with the key that it was made under. */
export interface Contribution {
  readonly member: number;
  readonly bodyDigest: Uint8Array;
  readonly maskDigest: Uint8Array;
  /** Of the client's long-term identity. */
  readonly signature: Uint8Array;
}

export interface SealInput {
  readonly contribution: Contribution;
  /** c0 of every block. */
  readonly body: Uint8Array;
  /** c1 of every block. */
  readonly mask: Uint8Array;
}

/** What the committee is asked to open. */
export interface OpeningRequest {
  /** Who is to answer. */
  readonly quorum: readonly number[];
  /** SHA-256 of the sum of bodies that the answer is for. */
  readonly bodyDigest: Uint8Array;
  readonly contributions: readonly Contribution[];
}

const CONTRIBUTION_BYTES = 2 + 32 + 32 + 64;

export function encodeSealInput(context: Uint8Array, { contribution, body, mask }: SealInput): Uint8Array<ArrayBuffer> {
  return writeContribution(frame(KIND.sealInput, context), contribution).blob(body).blob(mask).finish();
}

/** Bytes of the whole message. */
export function sealInputLength(bodyBytes: number, maskBytes: number): number {
  return PREFIX_BYTES + CONTEXT_BYTES + CONTRIBUTION_BYTES + 4 + bodyBytes + 4 + maskBytes;
}

/** Body and mask are views on `bytes`. @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeSealInput(context: Uint8Array, bytes: Uint8Array): SealInput {
  return unframe(KIND.sealInput, context, bytes, (reader) => ({
    contribution: readContribution(reader),
    body: reader.blob(reader.remaining),
    mask: reader.blob(reader.remaining),
  }));
}

/** @param contributions in order of the members */
export function encodeOpeningRequest(
  context: Uint8Array,
  { quorum, bodyDigest, contributions }: OpeningRequest,
): Uint8Array<ArrayBuffer> {
  const writer = writeNumbers(frame(KIND.sealOpeningRequest, context), quorum).bytes(bodyDigest);
  return writeContributions(writer, contributions).finish();
}

/** @throws AggregationError `MESSAGE_INVALID`, Stop `SECAGG_CONTEXT` */
export function decodeOpeningRequest(context: Uint8Array, bytes: Uint8Array): OpeningRequest {
  return unframe(KIND.sealOpeningRequest, context, bytes, (reader) => ({
    quorum: readNumbers(reader),
    bodyDigest: reader.bytes(32),
    contributions: readContributions(reader),
  }));
}

export function writeContributions(writer: Writer, contributions: readonly Contribution[]): Writer {
  writer.u16(contributions.length);
  for (const contribution of contributions) writeContribution(writer, contribution);
  return writer;
}

function readContributions(reader: Reader): Contribution[] {
  const contributions = Array.from({ length: reader.u16() }, () => readContribution(reader));
  if (contributions.some(({ member }, i) => i > 0 && member <= contributions[i - 1]!.member))
    throw invalid('its members are not in rising order');
  return contributions;
}

function writeContribution(writer: Writer, { member, bodyDigest, maskDigest, signature }: Contribution): Writer {
  return writer.u16(member).bytes(bodyDigest).bytes(maskDigest).bytes(signature);
}

function readContribution(reader: Reader): Contribution {
  return {
    member: reader.u16(),
    bodyDigest: reader.bytes(32),
    maskDigest: reader.bytes(32),
    signature: reader.bytes(64),
  };
}
