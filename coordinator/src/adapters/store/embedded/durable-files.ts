/**
 * PGlite's file system with a working fsync. PGlite starts PostgreSQL with fsync off and its NODEFS has no fsync at all, so a
 * commit would survive a crash of the process but not of the machine. With this, every commit is one `fsync` system call.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { NodeFS } from '@electric-sql/pglite/nodefs';

interface Stream {
  readonly nfd?: number;
  readonly node: unknown;
}

interface EmscriptenModule {
  readonly NODEFS: {
    readonly stream_ops: { fsync?: (stream: Stream) => number };
    readonly realPath: (node: unknown) => string;
  };
  readonly FS: { readonly ErrnoError: new (errno: number) => Error };
}

const EIO = 29;

export class DurableFiles extends NodeFS {
  override async init(
    pg: Parameters<NodeFS['init']>[0],
    options: Parameters<NodeFS['init']>[1],
  ): ReturnType<NodeFS['init']> {
    const started = await super.init(pg, options);
    const preRun = started.emscriptenOpts.preRun as ((module: EmscriptenModule) => void)[];
    preRun.push((module) => {
      module.NODEFS.stream_ops.fsync = (stream) => syncStream(module, stream);
    });
    return started;
  }
}

function syncStream(module: EmscriptenModule, stream: Stream): number {
  try {
    if (stream.nfd !== undefined) fsyncSync(stream.nfd);
    else syncDirectory(module.NODEFS.realPath(stream.node));
    return 0;
  } catch (error) {
    // PostgreSQL must see the failure as an errno, on which it panics and recovers from its log: never as success.
    if (error instanceof Error && 'code' in error) throw new module.FS.ErrnoError(EIO);
    throw error;
  }
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
