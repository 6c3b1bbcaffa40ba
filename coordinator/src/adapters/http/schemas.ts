/** The shapes on the wire, and from records to them. Keys' bytes and hashes of secrets never leave. */
import { toBase64url } from '@carapace/crypto';
import { Type } from '@fastify/type-provider-typebox';
import type { TObject, TSchema, TString } from '@fastify/type-provider-typebox';
import type { ApiKeyRecord, ClientRecord, RosterRecord, TokenRecord, VersionRecord } from '../../ports.ts';

const strict = { additionalProperties: false } as const;

/** Without control characters and lone surrogates: a database cannot keep the ones, a terminal would obey the others. */
export const text = (description: string, maxLength = 200): TString =>
  Type.String({ description, minLength: 1, maxLength, pattern: '^[^\\p{Cc}\\p{Cs}]+$' });
export const object = <P extends Record<string, TSchema>>(properties: P): TObject<P> => Type.Object(properties, strict);
export const roundId: TString = text('<task>.<number>');
export const digits = (description: string): TString => Type.String({ pattern: '^(0|[1-9][0-9]{0,11})$', description });
export const waitSeconds: TString = Type.String({ pattern: '^([0-9]|[12][0-9]|30)$', description: 'at most 30' });
/** An object whose members this page does not fix, such as a task document or a time line's detail. */
export const open = (description: string): ReturnType<typeof Type.Unsafe<Record<string, unknown>>> =>
  Type.Unsafe<Record<string, unknown>>({ type: 'object', description, additionalProperties: true });

const problem: TSchema = Type.Unsafe<Record<string, unknown>>({
  type: 'object',
  additionalProperties: true,
  required: ['type', 'title', 'status', 'code', 'detail', 'instance'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string' },
    detail: { type: 'string' },
    instance: { type: 'string' },
  },
});

/** The answer of every refusal. */
export const PROBLEM: { readonly description: string; readonly content: Record<string, { readonly schema: TSchema }> } =
  {
    description: 'Problem details (RFC 9457) with a stable code',
    content: { 'application/problem+json': { schema: problem } },
  };

export function clientView(client: ClientRecord): Record<string, unknown> {
  const { publicKey, ...rest } = client;
  return { ...rest, publicKey: toBase64url(publicKey) };
}

export function rosterView({ bytes, ...rest }: RosterRecord): Record<string, unknown> {
  return { ...rest, roster: toBase64url(bytes) };
}

export function tokenView({ secretHash: _secretHash, ...rest }: TokenRecord): Record<string, unknown> {
  return { ...rest };
}

export function apiKeyView({ secretHash: _secretHash, ...rest }: ApiKeyRecord): Record<string, unknown> {
  return { ...rest };
}

export function versionView(version: VersionRecord): Record<string, unknown> {
  const {
    model,
    version: number,
    round,
    parent,
    metrics,
    cohort,
    weights,
    topology,
    tensors,
    manifest,
    createdAt,
  } = version;
  const parameters = tensors.reduce(
    (sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1),
    0,
  );
  const files = { tfjs: 'model.json', weights: 'weights.bin', safetensors: 'model.safetensors' };
  return {
    model,
    version: number,
    createdAt,
    metrics,
    parameters,
    lineage: { round, parent, cohort },
    digests: { weights, topology },
    files,
    tensors,
    manifest,
  };
}
