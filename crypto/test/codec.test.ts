import { Reader, Writer } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const LIMIT = 12;
const FIELDS = {
  u8: fc.integer({ min: 0, max: 0xff }),
  u16: fc.integer({ min: 0, max: 0xffff }),
  u32: fc.integer({ min: 0, max: 0xffff_ffff }),
  u64: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  f64: fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
  blob: fc.uint8Array({ maxLength: LIMIT }),
  text: fc.string({ unit: 'grapheme', maxLength: 3 }).filter((text) => new TextEncoder().encode(text).length <= LIMIT),
} as const;
type Field = keyof typeof FIELDS;

const message = fc.array(
  fc.oneof(
    ...(Object.keys(FIELDS) as Field[]).map((field) =>
      (FIELDS[field] as fc.Arbitrary<unknown>).map((value) => [field, value] as const),
    ),
  ),
  { maxLength: 8 },
);

function write(fields: readonly (readonly [Field, unknown])[]): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  for (const [field, value] of fields) (writer[field] as (value: unknown) => Writer).call(writer, value);
  return writer.finish();
}

function read(bytes: Uint8Array, fields: readonly Field[]): (readonly [Field, unknown])[] {
  const reader = new Reader(bytes);
  const values = fields.map((field) => {
    const value = field === 'blob' || field === 'text' ? reader[field](LIMIT) : reader[field]();
    return [field, value instanceof Uint8Array ? Uint8Array.from(value) : value] as const;
  });
  reader.end();
  return values;
}

describe('laws', () => {
  test('what is written is read, wherever the bytes lie in their buffer', () => {
    fc.assert(
      fc.property(message, fc.nat(9), (fields, offset) => {
        const bytes = write(fields);
        const inside = new Uint8Array(offset + bytes.length + 3).fill(0xee);
        inside.set(bytes, offset);
        const kinds = fields.map(([field]) => field);
        expect(read(inside.subarray(offset, offset + bytes.length), kinds)).toEqual(fields);
      }),
    );
  });

  test('any bytes are read to what is written as exactly these bytes, or refused with a code', () => {
    const kinds = fc.array(fc.constantFrom(...(Object.keys(FIELDS) as Field[])), { maxLength: 4 });
    const bytes = fc.oneof(fc.uint8Array({ maxLength: 40 }), message.map(write));
    fc.assert(
      fc.property(bytes, kinds, (input, fields) => {
        let values: (readonly [Field, unknown])[];
        try {
          values = read(input, fields);
        } catch (error) {
          expect(error).toMatchObject({
            name: 'CryptoError',
            code: expect.stringMatching(/^(DECODE_|BYTES_NOT_UTF8)/),
          });
          return;
        }
        expect(write(values)).toEqual(Uint8Array.from(input));
      }),
      { numRuns: 500 },
    );
  });

  test('every proper prefix of a message is refused, and so is one byte more', () => {
    fc.assert(
      fc.property(message, (fields) => {
        const bytes = write(fields);
        const kinds = fields.map(([field]) => field);
        for (let length = 0; length < bytes.length; length++)
          expect(() => read(bytes.subarray(0, length), kinds)).toThrow(
            expect.objectContaining({ code: 'DECODE_TRUNCATED' }),
          );
        expect(() => read(Uint8Array.of(...bytes, 0), kinds)).toThrow(
          expect.objectContaining({ code: 'DECODE_TRAILING' }),
        );
      }),
    );
  });
});

describe('bounds', () => {
  test('a length beyond the limit is refused before its bytes are looked for', () => {
    const claims = Uint8Array.of(0xff, 0xff, 0xff, 0xff);
    expect(() => new Reader(claims).blob(1_000)).toThrow(expect.objectContaining({ code: 'DECODE_TOO_LONG' }));
    expect(() => new Reader(claims).blob(0xffff_ffff)).toThrow(expect.objectContaining({ code: 'DECODE_TRUNCATED' }));
  });

  const outside: readonly (readonly [string, () => unknown])[] = [
    ['u8 256', () => new Writer().u8(256)],
    ['u16 -1', () => new Writer().u16(-1)],
    ['u32 2^32', () => new Writer().u32(2 ** 32)],
    ['u32 0.5', () => new Writer().u32(0.5)],
    ['u64 2^64', () => new Writer().u64(1n << 64n)],
    ['u64 -1', () => new Writer().u64(-1n)],
    ['f64 NaN', () => new Writer().f64(Number.NaN)],
    ['f64 infinity', () => new Writer().f64(Number.NEGATIVE_INFINITY)],
  ];
  test.each(outside)('%s is not written', (_name, write) => {
    expect(write).toThrow(expect.objectContaining({ code: 'ENCODE_RANGE' }));
  });

  test('zero has one spelling: its negative is written as zero and not read', () => {
    expect(new Writer().f64(-0).finish()).toEqual(new Uint8Array(8));
    const negative = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80);
    expect(() => new Reader(negative).f64()).toThrow(expect.objectContaining({ code: 'DECODE_INVALID' }));
  });
});

test('integers are little-endian, lengths are 32 bits', () => {
  const bytes = new Writer().u16(0x0102).u32(0x03040506).u64(7n).text('é').bytes(Uint8Array.of(9)).finish();
  expect([...bytes]).toEqual([2, 1, 6, 5, 4, 3, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0xc3, 0xa9, 9]);
});
