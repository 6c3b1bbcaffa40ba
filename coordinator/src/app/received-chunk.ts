/** A chunk of something that is sent in chunks, as far as all of them are alike: it begins where the last one ended. */
import { CoordinatorError } from '../errors.ts';
import type { PendingUpload } from '../ports.ts';
import type { SumChunk } from './api.ts';

/**
 * All bytes may have been durable already when an earlier process died before it judged them: whatever is sent then completes them.
 * @returns the bytes that are durable now. @throws CoordinatorError `UPLOAD_OFFSET`
 */
export async function receive(
  chunk: Pick<SumChunk, 'offset' | 'total' | 'body'>,
  pending: PendingUpload,
  append: () => Promise<number>,
): Promise<number> {
  const { received } = pending;
  if (chunk.total > 0 && received === chunk.total) {
    await drain(chunk.body);
    return received;
  }
  if (chunk.offset === received) return append();
  throw new CoordinatorError(
    'UPLOAD_OFFSET',
    `the chunk starts at ${chunk.offset}, the coordinator has ${received} bytes`,
    { members: { received } },
  );
}

/** Read to its end, because the digest of what was signed is checked on the way. */
async function drain(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _chunk of body);
}
