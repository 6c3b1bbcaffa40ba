/** Versions as ONNX models. The weights are sent as they are read: the writer gives what stands between them. */
import { layoutOf } from '@carapace/aggregation';
import type { Digest } from '@carapace/aggregation';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { text as readText } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { CoordinatorError } from '../../../errors.ts';
import type { VersionRecord } from '../../../ports.ts';
import type { Edge } from '../edge.ts';
import { isFresh, MOVING } from './freshness.ts';

type Written = readonly Uint8Array[] | { readonly unsupported: string };

/** Architectures whose pieces are kept: the versions of a model have one. */
const KEPT = 16;

export function onnxWriter(
  edge: Edge,
): (request: FastifyRequest, reply: FastifyReply, version: VersionRecord) => Promise<FastifyReply> {
  const kept = new Map<string, Promise<Written>>();
  const piecesOf = (version: VersionRecord): Promise<Written> => {
    const key = `${version.topology} ${JSON.stringify(version.tensors)}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    const writing = write(edge, version.topology, version);
    writing.catch(() => kept.delete(key));
    if (kept.size >= KEPT) kept.delete(kept.keys().next().value!);
    kept.set(key, writing);
    return writing;
  };
  return async (request, reply, version) => {
    const pieces = await piecesOf(version);
    if ('unsupported' in pieces) throw new CoordinatorError('MODEL_FORMAT_MISSING', pieces.unsupported);
    const etag = `"onnx-${edge.options.version}-${version.topology.slice(0, 16)}-${version.weights}"`;
    if (isFresh(request, reply, etag, MOVING)) return reply.code(304).send();
    const { bytes, stream } = await edge.api.openBlob(version.weights);
    const length = pieces.reduce((sum, piece) => sum + piece.length, bytes);
    edge.emit({ kind: 'bytes-sent', at: edge.clock.now(), bytes: length });
    const ends = layoutOf(version.tensors).slots.map(({ offset, size }) => 4 * (offset + size));
    void reply.type('application/octet-stream').header('content-length', length);
    return reply.send(Readable.from(interleaved(pieces, ends, stream)));
  };
}

async function write(edge: Edge, topology: Digest, { tensors }: VersionRecord): Promise<Written> {
  if (edge.modelWriter === null)
    return {
      unsupported: 'this coordinator was started without a writer of ONNX models: `carapace coordinator` has one',
    };
  const { stream } = await edge.api.openBlob(topology);
  return edge.modelWriter.onnx({ topology: await readText(stream), tensors });
}

/** @param ends where each tensor's bytes end in the stream */
async function* interleaved(
  pieces: readonly Uint8Array[],
  ends: readonly number[],
  stream: NodeJS.ReadableStream,
): AsyncGenerator<Uint8Array> {
  yield pieces[0]!;
  let [next, at] = [0, 0];
  for await (const part of stream as AsyncIterable<Uint8Array>) {
    let from = 0;
    while (next < ends.length && ends[next]! <= at + part.length) {
      const end = ends[next]! - at;
      if (end > from) yield part.subarray(from, end);
      from = end;
      yield pieces[++next]!;
    }
    if (from < part.length) yield part.subarray(from);
    at += part.length;
  }
}
