/** Writes into the blobs in argv[2] until it is killed: says each digest, and each offset of its upload, once it is acknowledged. */
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { openBlobs } from '../../src/adapters/blobs/files.ts';

const [, , directory = '', mode = 'loop'] = process.argv;
const say = (line: string): void => void writeSync(1, `${line}\n`);
const chunk = async function* (bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
};
const blobs = await openBlobs(directory);
const pending = await blobs.upload('resumed');
try {
  for (let count = 0; mode === 'loop' || count < 1; count++) {
    const offset = await pending.append(chunk(Buffer.alloc(mode === 'loop' ? 5_000 : 100_000, 7)), 1e9);
    say(`offset ${offset}`);
    if (mode === 'loop') say(`digest ${await blobs.put(randomBytes(300_000))}`);
  }
} catch (error) {
  say(`refused ${(error as { code?: string }).code ?? String(error)}`);
}
