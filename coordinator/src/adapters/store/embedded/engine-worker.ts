/** The thread that owns PGlite: its fsync, recovery, VACUUM and CHECKPOINT are synchronous and must not stop the HTTP loop. */
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import { DurableFiles } from './durable-files.ts';
import type { EngineReply, EngineRequest } from './engine.ts';

// -F is `fsync=off`, PGlite's default. fdatasync is a stub in PGlite's libc, so the method must be plain fsync.
const START = [
  ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-F'),
  '-c',
  'fsync=on',
  '-c',
  'wal_sync_method=fsync',
  '-c',
  'shared_buffers=32MB',
];

const { directory } = workerData as { readonly directory: string };
const port = parentPort;
if (port === null) throw new Error('the engine runs in a worker thread');
const reply = (message: EngineReply, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer);

const database = await PGlite.create({ fs: new DurableFiles(directory), startParams: START });
reply({ kind: 'ready' });

port.on('message', (request: EngineRequest) => {
  void answer(request);
});

async function answer(request: EngineRequest): Promise<void> {
  try {
    if (request.kind === 'close') {
      await database.close();
      reply({ kind: 'closed', id: request.id });
      port?.close();
      return;
    }
    const output = (await database.execProtocolRaw(request.bytes)).slice();
    reply({ kind: 'output', id: request.id, bytes: output }, [output.buffer]);
  } catch (error) {
    reply({ kind: 'failed', id: request.id, message: error instanceof Error ? error.message : String(error) });
  }
}
