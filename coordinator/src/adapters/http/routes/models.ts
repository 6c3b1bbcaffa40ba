/** Model versions as others load them: TensorFlow.js layers models and safetensors, with URLs that never change their bytes. */
import { parseModelName, safetensorsHeader } from '@carapace/aggregation';
import type { Digest, TensorSpec } from '@carapace/aggregation';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { text as readText } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import type { VersionRecord } from '../../../ports.ts';
import { authenticateOperator } from '../authentication.ts';
import { object, PROBLEM, text, versionView } from '../schemas.ts';
import type { Edge, Server } from '../edge.ts';
import { IMMUTABLE, isFresh, MOVING } from './freshness.ts';
import { onnxWriter } from './onnx.ts';

const modelParams = object({ model: text('model name') });
const versionParams = object({ model: text('model name'), version: Type.String({ pattern: '^[1-9][0-9]{0,8}$' }) });
const channelParams = object({
  model: text('model name'),
  channel: Type.String({ pattern: '^[a-z][a-z0-9-]{0,30}$' }),
});

type Range = { readonly from: number; readonly to: number };

export function modelRoutes(server: Server, edge: Edge): void {
  const { api } = edge;
  const of = (operationId: string, summary: string) => ({
    onRequest: async (request: FastifyRequest): Promise<void> => {
      if (!edge.options.publicModels) await authenticateOperator(edge, request, 'auditor');
    },
    schema: {
      operationId,
      tags: ['models'],
      summary,
      ...(edge.options.publicModels ? {} : { security: [{ operator: [] }] }),
      response: { '4xx': PROBLEM, '5xx': PROBLEM },
    },
  });
  const versionOf = (params: { model: string; version: string }): Promise<VersionRecord> =>
    api.findVersion(parseModelName(params.model), Number(params.version));
  const channelOf = (params: { model: string; channel: string }): Promise<VersionRecord> =>
    api.findChannel(parseModelName(params.model), params.channel);

  server.get('/v1/models', of('listModels', 'All models with their channels'), async () => ({
    models: await api.listModels(),
  }));
  const versions = of('listVersions', 'The versions of a model, oldest first');
  server.get(
    '/v1/models/:model/versions',
    { ...versions, schema: { ...versions.schema, params: modelParams } },
    async ({ params }) => {
      return { versions: (await api.listVersions(parseModelName(params.model))).map(versionView) };
    },
  );
  const show = of('showVersion', 'A version: metrics, lineage, digests, signed manifest');
  server.get(
    '/v1/models/:model/versions/:version',
    { ...show, schema: { ...show.schema, params: versionParams } },
    async ({ params }) => versionView(await versionOf(params)),
  );
  const channel = of('showChannel', 'The version that a channel names');
  server.get(
    '/v1/models/:model/channels/:channel',
    { ...channel, schema: { ...channel.schema, params: channelParams } },
    async ({ params }, reply) => {
      return reply.header('cache-control', MOVING).send(versionView(await channelOf(params)));
    },
  );

  const json = of('downloadModel', 'TensorFlow.js layers model: tf.loadLayersModel(url)');
  server.get(
    '/v1/models/:model/versions/:version/model.json',
    { ...json, schema: { ...json.schema, params: versionParams } },
    async (request, reply) => {
      return sendModelJson(edge, request, reply, await versionOf(request.params), 'weights.bin', IMMUTABLE);
    },
  );
  const channelJson = of('downloadChannelModel', 'The same, of the version that a channel names now');
  server.get(
    '/v1/models/:model/channels/:channel/model.json',
    { ...channelJson, schema: { ...channelJson.schema, params: channelParams } },
    async (request, reply) => {
      const version = await channelOf(request.params);
      // The weights are named by version, so that topology and weights are of one version however the channel moves in between.
      return sendModelJson(edge, request, reply, version, `../../versions/${version.version}/weights.bin`, MOVING);
    },
  );
  const weights = of('downloadWeights', 'All weights: little-endian float32 in the order of the tensors');
  server.get(
    '/v1/models/:model/versions/:version/weights.bin',
    { ...weights, schema: { ...weights.schema, params: versionParams } },
    async (request, reply) => {
      return sendWeights(edge, request, reply, await versionOf(request.params));
    },
  );
  const onnx = of('downloadOnnx', 'An ONNX model for inference, as this version of Carapace writes it');
  const writer = onnxWriter(edge);
  server.get(
    '/v1/models/:model/versions/:version/model.onnx',
    { ...onnx, schema: { ...onnx.schema, params: versionParams } },
    async (request, reply) => writer(request, reply, await versionOf(request.params)),
  );
  const channelOnnx = of('downloadChannelOnnx', 'The same, of the version that a channel names now');
  server.get(
    '/v1/models/:model/channels/:channel/model.onnx',
    { ...channelOnnx, schema: { ...channelOnnx.schema, params: channelParams } },
    async (request, reply) => writer(request, reply, await channelOf(request.params)),
  );
  const safetensors = of('downloadSafetensors', 'The weights as safetensors');
  server.get(
    '/v1/models/:model/versions/:version/model.safetensors',
    { ...safetensors, schema: { ...safetensors.schema, params: versionParams } },
    async (request, reply) => {
      return sendSafetensors(edge, request, reply, await versionOf(request.params));
    },
  );
}

async function sendModelJson(
  edge: Edge,
  request: FastifyRequest,
  reply: FastifyReply,
  version: VersionRecord,
  weightsPath: string,
  caching: string,
): Promise<FastifyReply> {
  if (isFresh(request, reply, `"${version.topology.slice(0, 32)}-${version.version}"`, caching))
    return reply.code(304).send();
  const { stream } = await edge.api.openBlob(version.topology);
  const weights = version.tensors.map(({ name, shape }: TensorSpec) => ({ name, shape, dtype: 'float32' }));
  const model = {
    format: 'layers-model',
    generatedBy: `Carapace ${edge.options.version}`,
    convertedBy: null,
    modelTopology: JSON.parse(await readText(stream)) as unknown,
    weightsManifest: [{ paths: [weightsPath], weights }],
  };
  return reply.type('application/json; charset=utf-8').send(JSON.stringify(model));
}

async function sendWeights(
  edge: Edge,
  request: FastifyRequest,
  reply: FastifyReply,
  version: VersionRecord,
): Promise<FastifyReply> {
  if (isFresh(request, reply, `"${version.weights}"`, IMMUTABLE)) return reply.code(304).send();
  return sendBlob(edge, request, reply, version.weights);
}

/** Blobs by digest for assigned clients too: bytes, length, one range at most. */
export async function sendBlob(
  edge: Edge,
  request: FastifyRequest,
  reply: FastifyReply,
  digest: Digest,
): Promise<FastifyReply> {
  const { bytes, stream } = await edge.api.openBlob(digest);
  void reply.type('application/octet-stream').header('accept-ranges', 'bytes');
  const range = rangeOf(request.headers.range, bytes);
  const sent = range === null ? bytes : range.to - range.from + 1;
  edge.emit({ kind: 'bytes-sent', at: edge.clock.now(), bytes: sent });
  if (range === null) return reply.header('content-length', bytes).send(stream);
  void reply
    .code(206)
    .header('content-range', `bytes ${range.from}-${range.to}/${bytes}`)
    .header('content-length', sent);
  return reply.send(Readable.from(slice(stream, range)));
}

async function sendSafetensors(
  edge: Edge,
  request: FastifyRequest,
  reply: FastifyReply,
  version: VersionRecord,
): Promise<FastifyReply> {
  if (isFresh(request, reply, `"st-${version.weights}"`, IMMUTABLE)) return reply.code(304).send();
  const header = safetensorsHeader(version.tensors, {
    format: 'tfjs',
    model: version.model,
    version: String(version.version),
  });
  const { bytes, stream } = await edge.api.openBlob(version.weights);
  edge.emit({ kind: 'bytes-sent', at: edge.clock.now(), bytes: header.length + bytes });
  void reply.type('application/x-safetensors').header('content-length', header.length + bytes);
  return reply.send(Readable.from(prefixed(header, stream)));
}

/** One satisfiable range, or null for the whole (RFC 9110, section 14.2: a server may ignore the field). */
function rangeOf(header: string | undefined, bytes: number): Range | null {
  const match = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header ?? '');
  if (match === null) return null;
  const from = Number(match[1]);
  const to = match[2] === '' ? bytes - 1 : Math.min(Number(match[2]), bytes - 1);
  return from <= to ? { from, to } : null;
}

async function* slice(stream: NodeJS.ReadableStream, { from, to }: Range): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const piece of stream as AsyncIterable<Uint8Array>) {
    const wanted = piece.subarray(Math.max(0, from - at), Math.max(0, to + 1 - at));
    at += piece.length;
    if (wanted.length > 0) yield wanted;
    if (at > to) return;
  }
}

async function* prefixed(header: Uint8Array, stream: NodeJS.ReadableStream): AsyncGenerator<Uint8Array> {
  yield header;
  yield* stream as AsyncIterable<Uint8Array>;
}
