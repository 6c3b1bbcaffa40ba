import { concatBytes, CryptoError, Reader, toHex, Writer } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

/** One kind of field: how it is written and read, and what values it takes. */
interface Kind<T> {
  readonly values: fc.Arbitrary<T>;
  readonly write: (writer: Writer, value: T) => void;
  readonly read: (reader: Reader) => T;
}
interface Field {
  readonly value: unknown;
  readonly write: (writer: Writer) => void;
  readonly read: (reader: Reader) => unknown;
}

const LIMIT = 40;
const kind = <T>(
  values: fc.Arbitrary<T>,
  write: (writer: Writer, value: T) => void,
  read: (reader: Reader) => T,
): Kind<unknown> => ({ values, write, read }) as Kind<unknown>;

const KINDS: readonly Kind<unknown>[] = [
  kind(
    fc.nat(0xff),
    (writer, value) => writer.u8(value),
    (reader) => reader.u8(),
  ),
  kind(
    fc.nat(0xffff),
    (writer, value) => writer.u16(value),
    (reader) => reader.u16(),
  ),
  kind(
    fc.nat(0xffff_ffff),
    (writer, value) => writer.u32(value),
    (reader) => reader.u32(),
  ),
  kind(
    fc.bigInt(0n, (1n << 64n) - 1n),
    (writer, value) => writer.u64(value),
    (reader) => reader.u64(),
  ),
  kind(
    fc.double({ noDefaultInfinity: true, noNaN: true }).map((value) => (value === 0 ? 0 : value)),
    (writer, value) => writer.f64(value),
    (reader) => reader.f64(),
  ),
  kind(
    fc.uint8Array({ minLength: 5, maxLength: 5 }),
    (writer, value) => writer.bytes(value),
    (reader) => Uint8Array.from(reader.bytes(5)),
  ),
  kind(
    fc.uint8Array({ maxLength: LIMIT }),
    (writer, value) => writer.blob(value),
    (reader) => Uint8Array.from(reader.blob(LIMIT)),
  ),
  kind(
    fc.string({ unit: 'binary', maxLength: LIMIT / 4 }),
    (writer, value) => writer.text(value),
    (reader) => reader.text(LIMIT),
  ),
];

const field: fc.Arbitrary<Field> = fc
  .constantFrom(...KINDS)
  .chain(({ values, write, read }) =>
    values.map((value) => ({ value, write: (writer) => write(writer, value), read })),
  );
const message = fc.array(field, { maxLength: 8 });

const encode = (fields: readonly Field[]): Uint8Array<ArrayBuffer> => {
  const writer = new Writer();
  for (const { write } of fields) write(writer);
  return writer.finish();
};
const decode = (fields: readonly Pick<Field, 'read'>[], bytes: Uint8Array): unknown[] => {
  const reader = new Reader(bytes);
  const values = fields.map(({ read }) => read(reader));
  reader.end();
  return values;
};
const codeOf = (work: () => unknown): string | null => {
  try {
    work();
    return null;
  } catch (error) {
    if (error instanceof CryptoError) return error.code;
    throw error;
  }
};

describe('the laws', () => {
  test('decode(encode(x)) = x', () => {
    fc.assert(
      fc.property(message, (fields) => {
        expect(decode(fields, encode(fields))).toEqual(fields.map(({ value }) => value));
      }),
    );
  });

  test('encode(decode(b)) = b for whatever is accepted, and anything else has a code', () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...KINDS), { maxLength: 3 }), fc.uint8Array(), (kinds, noise) => {
        // Lengths below 256, or hardly any text would be accepted.
        const bytes = noise.map((byte, at) => (at % 4 === 0 ? byte % 12 : at % 2 === 0 ? 0 : byte & 0x7f));
        const reader = new Reader(bytes);
        const code = codeOf(() => {
          const writer = new Writer();
          for (const { read, write } of kinds) write(writer, read(reader));
          expect(toHex(writer.finish())).toBe(toHex(bytes.subarray(0, bytes.length - reader.remaining)));
          accepted += 1;
        });
        if (code !== null) expect(code).toMatch(/^(DECODE_TRUNCATED|DECODE_TOO_LONG|DECODE_INVALID|BYTES_NOT_UTF8)$/);
      }),
      { numRuns: 500, seed: 1 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  test('every truncation is refused', () => {
    fc.assert(
      fc.property(message, (fields) => {
        const bytes = encode(fields);
        for (let length = 0; length < bytes.length; length++) {
          expect(codeOf(() => decode(fields, bytes.subarray(0, length)))).toBe('DECODE_TRUNCATED');
        }
      }),
    );
  });

  test('every trailing byte is refused', () => {
    fc.assert(
      fc.property(message, fc.uint8Array({ minLength: 1, maxLength: 3 }), (fields, more) => {
        expect(codeOf(() => decode(fields, concatBytes(encode(fields), more)))).toBe('DECODE_TRAILING');
      }),
    );
  });

  test('a message in the middle of a larger buffer is read alone', () => {
    fc.assert(
      fc.property(message, fc.uint8Array({ maxLength: 9 }), (fields, around) => {
        const bytes = encode(fields);
        const within = concatBytes(around, bytes, around).subarray(around.length, around.length + bytes.length);
        expect(decode(fields, within)).toEqual(fields.map(({ value }) => value));
      }),
    );
  });
});

describe('the form', () => {
  test.each([
    ['u8', new Writer().u8(0xab), 'ab'],
    ['u16', new Writer().u16(0x1234), '3412'],
    ['u32', new Writer().u32(0x1234_5678), '78563412'],
    ['u64', new Writer().u64(0x0102_0304_0506_0708n), '0807060504030201'],
    ['f64', new Writer().f64(1), '000000000000f03f'],
    ['a negative zero is zero', new Writer().f64(-0), '0000000000000000'],
    ['bytes', new Writer().bytes(Uint8Array.of(1, 2)), '0102'],
    ['blob', new Writer().blob(Uint8Array.of(1, 2)), '020000000102'],
    ['text', new Writer().text('é'), '02000000c3a9'],
    ['nothing', new Writer(), ''],
  ])('%s', (_name, writer, hex) => {
    expect(toHex(writer.finish())).toBe(hex);
  });
});

describe('values that fit no field', () => {
  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32])('%s is not written', (value) => {
    for (const name of ['u8', 'u16', 'u32'] as const) {
      expect(codeOf(() => new Writer()[name](value))).toBe('ENCODE_RANGE');
    }
  });

  test.each([
    ['u8 256', () => new Writer().u8(0x100)],
    ['u16 65536', () => new Writer().u16(0x1_0000)],
    ['u64 -1', () => new Writer().u64(-1n)],
    ['u64 2^64', () => new Writer().u64(1n << 64n)],
    ['f64 NaN', () => new Writer().f64(Number.NaN)],
    ['f64 infinity', () => new Writer().f64(Number.NEGATIVE_INFINITY)],
    ['half a surrogate pair, which UTF-8 cannot spell', () => new Writer().text('a\ud800')],
  ])('%s', (_name, write) => {
    expect(codeOf(write)).toBe('ENCODE_RANGE');
  });
});

describe('values that no writer writes', () => {
  const reader = (...bytes: number[]): Reader => new Reader(Uint8Array.from(bytes));

  test.each([
    ['NaN', [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]],
    ['infinity', [0, 0, 0, 0, 0, 0, 0xf0, 0x7f]],
    ['negative infinity', [0, 0, 0, 0, 0, 0, 0xf0, 0xff]],
    ['negative zero', [0, 0, 0, 0, 0, 0, 0, 0x80]],
  ])('the number %s', (_name, bytes) => {
    expect(codeOf(() => reader(...bytes).f64())).toBe('DECODE_INVALID');
  });

  test('a length above the limit, however long the input', () => {
    expect(codeOf(() => reader(3, 0, 0, 0, 1, 2, 3).blob(2))).toBe('DECODE_TOO_LONG');
    expect(codeOf(() => reader(3, 0, 0, 0, 1, 2, 3).text(2))).toBe('DECODE_TOO_LONG');
    expect(codeOf(() => reader(0xff, 0xff, 0xff, 0xff).blob(1_000))).toBe('DECODE_TOO_LONG');
    expect(reader(3, 0, 0, 0, 1, 2, 3).blob(3)).toEqual(Uint8Array.of(1, 2, 3));
  });

  test('text that is not UTF-8: an overlong spelling, a surrogate, a lone continuation', () => {
    for (const bytes of [
      [2, 0, 0, 0, 0xc0, 0x80],
      [3, 0, 0, 0, 0xed, 0xa0, 0x80],
      [1, 0, 0, 0, 0x80],
    ])
      expect(codeOf(() => reader(...bytes).text(9))).toBe('BYTES_NOT_UTF8');
  });

  test('a negative length does not go back', () => {
    const read = reader(1, 2, 3);
    read.u16();
    expect(codeOf(() => read.bytes(-1))).toBe('DECODE_TRUNCATED');
    expect(read.remaining).toBe(1);
  });
});

test('values of any length, short ones and long ones among each other, stand one behind the other', () => {
  const values = fc.array(fc.tuple(fc.constantFrom(0, 1, 5, 63, 64, 65, 4095, 4096, 4097, 20_000), fc.nat(255)), {
    maxLength: 9,
  });
  fc.assert(
    fc.property(values, (list) => {
      const parts = list.map(([length, byte]) => new Uint8Array(length).fill(byte));
      const writer = new Writer();
      const expected = parts.flatMap((part, i) => [Uint8Array.of(i), part]);
      parts.forEach((part, i) => writer.u8(i).bytes(part));
      expect(Buffer.compare(writer.finish(), concatBytes(...expected))).toBe(0);
    }),
  );
});
