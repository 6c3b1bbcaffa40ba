import { fromUtf8, utf8 } from '@carapace/crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';

test('text and bytes are one to one', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(fromUtf8(utf8(text))).toBe(text);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      let text: string;
      try {
        text = fromUtf8(bytes);
      } catch (error) {
        expect(error).toMatchObject({ code: 'BYTES_NOT_UTF8' });
        return;
      }
      expect(utf8(text)).toEqual(bytes);
    }),
    { examples: [[Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)]] },
  );
});
