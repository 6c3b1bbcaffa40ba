import { keyStream, toHex } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import { createCipheriv } from 'node:crypto';
import { expect, test } from 'vitest';

test('the GCM specification (McGrew and Viega), test case 13: AES-256 under the zero key of the blocks 0 and 1', () => {
  const stream = new Uint8Array(32);
  keyStream(new Uint8Array(32), 0, 0).fill(stream);
  expect(toHex(stream)).toBe('dc95c078a2408989ad48a21492842087' + '530f8afbc74536b9a963b4f1c4cb738b');
});

test('a stream goes on where it stopped, and both numbers stand in the counter block', () => {
  const key = seededRandom('key stream').bytes(32);
  const counter = Buffer.from('0102030405060708' + '0000000000000000', 'hex');
  const expected = createCipheriv('aes-256-ctr', key, counter).update(new Uint8Array(200_000));
  const stream = keyStream(key, 0x01020304, 0x05060708);
  const parts = [1, 15, 70_000, 129_984].map((length) => new Uint8Array(length).fill(7));
  for (const part of parts) stream.fill(part);
  expect(Buffer.compare(Buffer.concat(parts), expected)).toBe(0);
});
