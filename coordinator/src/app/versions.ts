/** Model versions: uploading a first one, publishing the result of a round, signing what is said of them. */
import { AggregationError, defaultPolicies, layoutOf, parseSafetensors, signDocument } from '@carapace/aggregation';
import type {
  Digest,
  ExamplePrivacy,
  Metrics,
  ModelName,
  RoundId,
  SignedDocument,
  TensorSpec,
} from '@carapace/aggregation';
import { DOMAINS, utf8 } from '@carapace/crypto';
import type { SigningKey } from '@carapace/crypto';
import { CoordinatorError } from '../errors.ts';
import type { NewVersion, Records, VersionRecord } from '../ports.ts';
import type { Actor } from './api.ts';
import type { Context } from './context.ts';
import type { PrivacyStatement } from './privacy/statement.ts';

export interface VersionContent {
  readonly model: ModelName;
  readonly weights: Digest;
  readonly topology: Digest;
  readonly tensors: readonly TensorSpec[];
  readonly round: RoundId | null;
  readonly parent: number | null;
  readonly metrics: Metrics;
  readonly cohort: number | null;
}

/** What is said of how its round was private; null, or nothing, where it was not. */
interface SaidOfPrivacy {
  readonly privacy: PrivacyStatement | null;
  /** What every device was asked to train with. What that cost each of them is known to it alone. */
  readonly examples: ExamplePrivacy | null;
}

/** The content with a manifest, signed once its number is known, that binds all of it. */
export function manifested(
  key: SigningKey,
  content: VersionContent,
  now: number,
  { privacy, examples }: SaidOfPrivacy = { privacy: null, examples: null },
): NewVersion {
  const manifest = (version: number): SignedDocument =>
    signDocument(key, DOMAINS.manifest, {
      format: 1,
      version,
      ...content,
      layout: layoutOf(content.tensors).digest,
      ...(privacy && { privacy }),
      ...(examples && { examplePrivacy: examples }),
      publishedAt: now,
    });
  return { ...content, manifest };
}

export async function uploadModel(
  ctx: Context,
  model: ModelName,
  file: Uint8Array,
  actor: Actor,
): Promise<VersionRecord> {
  const { tensors, weights, topology } = readModelFile(file);
  const layout = layoutOf(tensors);
  const earlier = await ctx.store.findChannel(model, 'latest');
  if (earlier !== null && layoutOf(earlier.tensors).digest !== layout.digest) {
    throw new CoordinatorError(
      'MODEL_INVALID',
      `${model} has another layout since version 1: publish this one under another name`,
    );
  }
  const [weightsDigest, topologyDigest] = await Promise.all([
    ctx.models.put(bytesOf(weights)),
    ctx.models.put(utf8(topology)),
  ]);
  const content = {
    model,
    weights: weightsDigest,
    topology: topologyDigest,
    tensors,
    round: null,
    parent: null,
    metrics: {},
    cohort: null,
  };
  return ctx.store.transaction('upload_model', async (records) => {
    const now = ctx.clock.now();
    const version = await records.insertVersion(manifested(ctx.key, content, now), now);
    await audit(records, now, actor, 'model.upload', `${model}/${version.version}`, { weights: weightsDigest });
    return version;
  });
}

export async function moveChannel(
  ctx: Context,
  model: ModelName,
  channel: string,
  version: number,
  actor: Actor,
): Promise<VersionRecord> {
  await ctx.store.transaction('move_channel', async (records) => {
    const now = ctx.clock.now();
    const moved = await records.moveChannel(model, channel, version, now);
    if (!moved) throw new CoordinatorError('VERSION_NOT_FOUND', `${model} has no version ${version}`);
    await audit(records, now, actor, 'channel.move', `${model}/${channel}`, { version });
  });
  return requireVersion(await ctx.store.findVersion(model, version), model, String(version));
}

export function requireVersion(found: VersionRecord | null, model: ModelName, which: string): VersionRecord {
  if (found === null) throw new CoordinatorError('VERSION_NOT_FOUND', `${model} has no version or channel ${which}`);
  return found;
}

export async function audit(
  records: Records,
  at: number,
  actor: Actor,
  action: string,
  object: string,
  detail: Record<string, unknown> = {},
): Promise<void> {
  await records.appendAudit({ at, actor, action, object, detail });
}

function readModelFile(file: Uint8Array): { tensors: TensorSpec[]; weights: Float32Array; topology: string } {
  try {
    const { tensors, weights, metadata } = parseSafetensors(file);
    const topology = metadata['topology'];
    if (topology === undefined)
      throw new CoordinatorError(
        'MODEL_INVALID',
        'the metadata has no `topology` (the modelTopology JSON of a TensorFlow.js layers model)',
      );
    JSON.parse(topology);
    const crooked = tensors.find(({ name }) => /[\p{Cc}\p{Cs}]/u.test(name));
    if (crooked !== undefined) throw new CoordinatorError('MODEL_INVALID', 'a tensor name has a control character');
    const specified = defaultPolicies(tensors);
    layoutOf(specified);
    return { tensors: specified, weights, topology };
  } catch (cause) {
    if (cause instanceof AggregationError || cause instanceof SyntaxError) {
      throw new CoordinatorError('MODEL_INVALID', cause.message, { cause });
    }
    throw cause;
  }
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
