/** Identifiers: one brand and one refusing constructor each, so that one kind cannot be passed for another. */
import type { RandomSource } from '@carapace/crypto';
import { AggregationError } from './errors.ts';

type Brand<Name extends string> = string & { readonly __brand: Name };

/** A task is named by its operator: lower-case words joined by dashes. */
export type TaskId = Brand<'TaskId'>;
/** `<task>.<number>`: the rounds of a task count up from 1, whether they complete or not. */
export type RoundId = Brand<'RoundId'>;
export type ClientId = Brand<'ClientId'>;
/** Made by the client and journalled before the first byte is sent, so that a retry is the same update. */
export type UpdateId = Brand<'UpdateId'>;
export type ModelName = Brand<'ModelName'>;
/** Named by whoever answers for the privacy of a population. */
export type BudgetId = Brand<'BudgetId'>;
/** SHA-256 in lower-case hexadecimal: the name of a blob. */
export type Digest = Brand<'Digest'>;

const SLUG = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const SLUG_LIMIT = 63;
const RANDOM_PART = /^[a-z2-7]{26}$/;
const DIGEST = /^[0-9a-f]{64}$/;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

export function parseTaskId(text: string): TaskId {
  return slug(text, 'a task name') as TaskId;
}

export function parseModelName(text: string): ModelName {
  return slug(text, 'a model name') as ModelName;
}

export function parseBudgetId(text: string): BudgetId {
  return slug(text, 'a budget name') as BudgetId;
}

export function parseClientId(text: string): ClientId {
  return prefixed(text, 'cl_', 'a client id') as ClientId;
}

export function parseUpdateId(text: string): UpdateId {
  return prefixed(text, 'up_', 'an update id') as UpdateId;
}

export function parseDigest(text: string): Digest {
  if (!DIGEST.test(text)) throw malformed('a digest', '64 lower-case hexadecimal digits');
  return text as Digest;
}

export function roundIdOf(task: TaskId, number: number): RoundId {
  return `${task}.${number}` as RoundId;
}

export function parseRoundId(text: string): { readonly id: RoundId; readonly task: TaskId; readonly number: number } {
  const dot = text.indexOf('.');
  const digits = text.slice(dot + 1);
  if (dot < 1 || !/^[1-9][0-9]{0,8}$/.test(digits)) throw malformed('a round id', '<task>.<number>');
  return { id: text as RoundId, task: parseTaskId(text.slice(0, dot)), number: Number(digits) };
}

export function newClientId(random: RandomSource): ClientId {
  return `cl_${randomPart(random)}` as ClientId;
}

export function newUpdateId(random: RandomSource): UpdateId {
  return `up_${randomPart(random)}` as UpdateId;
}

/** 26 base32 letters: 130 random bits. */
export function randomPart(random: RandomSource): string {
  return Array.from(random.bytes(26), (byte) => BASE32.charAt(byte & 31)).join('');
}

function slug(text: string, what: string): string {
  if (text.length > SLUG_LIMIT || !SLUG.test(text)) {
    throw malformed(
      what,
      `lower-case letters, digits and single dashes, at most ${SLUG_LIMIT}, starting with a letter`,
    );
  }
  return text;
}

function prefixed(text: string, prefix: string, what: string): string {
  if (!text.startsWith(prefix) || !RANDOM_PART.test(text.slice(prefix.length))) {
    throw malformed(what, `${prefix} and 26 letters of a-z, 2-7`);
  }
  return text;
}

function malformed(what: string, form: string): AggregationError {
  return new AggregationError('ID_MALFORMED', `${what} is ${form}`);
}
