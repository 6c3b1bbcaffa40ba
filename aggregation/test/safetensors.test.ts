import { AggregationError, parseSafetensors, safetensorsHeader } from '@carapace/aggregation';
import type { NamedTensor } from '@carapace/aggregation';
import { concatBytes, utf8 } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { vectors } from './arbitraries.ts';

function file(header: string | Uint8Array, data: Uint8Array = new Uint8Array(0), length?: bigint): Uint8Array {
  const json = typeof header === 'string' ? utf8(header) : header;
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  return concatBytes(prefix, json, data);
}

function refusalOf(bytes: Uint8Array): string {
  try {
    parseSafetensors(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(AggregationError);
    expect((error as AggregationError).code).toBe('SAFETENSORS_INVALID');
    return (error as AggregationError).message;
  }
  throw new Error('it was taken');
}

describe('the format (huggingface/safetensors, README, "Format")', () => {
  /** The file that the reference's own `test_simple.py` pins for zeros of 2 x 2, as F32: 60 bytes of header, then the data. */
  const VECTOR =
    '3c00000000000000' +
    '7b2274657374223a7b226474797065223a22463332222c227368617065223a5b322c325d2c22646174615f6f666673657473223a5b302c31365d7d7d' +
    '0000803f00000040000040c000000000';

  test('a file written by hand', () => {
    expect(parseSafetensors(new Uint8Array(Buffer.from(VECTOR, 'hex')))).toEqual({
      tensors: [{ name: 'test', shape: [2, 2] }],
      metadata: {},
      weights: Float32Array.of(1, 2, -3, 0),
    });
  });

  test('what is written: length, JSON that begins with a brace, spaces to a multiple of 8', () => {
    const header = safetensorsHeader([{ name: 'test', shape: [2, 2] }], { round: 'mnist.1' });
    const length = Number(new DataView(header.buffer).getBigUint64(0, true));
    expect(header.length).toBe(8 + length);
    expect(header.length % 8).toBe(0);
    const text = Buffer.from(header.subarray(8)).toString();
    expect(text).toMatch(/^\{.*\} *$/);
    expect(JSON.parse(text)).toEqual({
      __metadata__: { round: 'mnist.1' },
      test: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
    });
  });

  test('tensors stand in the order of their offsets, whatever that of the header', () => {
    const header =
      '{"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"__metadata__":{"x":"y"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}  ';
    expect(parseSafetensors(file(header, new Uint8Array(Float32Array.of(5, 6).buffer)))).toEqual({
      tensors: [
        { name: 'a', shape: [] },
        { name: 'b', shape: [1] },
      ],
      metadata: { x: 'y' },
      weights: Float32Array.of(5, 6),
    });
  });

  test('a tensor without elements takes no bytes, wherever it is named', () => {
    const header =
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"none":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}';
    expect(parseSafetensors(file(header, new Uint8Array(4))).tensors.map(({ name }) => name)).toEqual(['none', 'a']);
  });

  test('no tensors at all', () => {
    expect(parseSafetensors(file('{}'))).toEqual({ tensors: [], metadata: {}, weights: new Float32Array(0) });
  });
});

describe('laws', () => {
  const name = fc.oneof(
    fc.string().filter((text) => text !== '__metadata__'),
    fc.constantFrom('0', '10', '2', '__proto__', 'constructor', 'ä/ö', '\ufeff'),
  );
  const tensors: fc.Arbitrary<NamedTensor[]> = fc.uniqueArray(
    fc.record({ name, shape: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }) }),
    { selector: (tensor) => tensor.name.toWellFormed(), maxLength: 6 },
  );
  const sizeOf = ({ shape }: NamedTensor): number => shape.reduce((product, length) => product * length, 1);

  test('parse after write is the identity', () => {
    const content = tensors.chain((named) =>
      fc.record({
        named: fc.constant(named),
        metadata: fc.dictionary(fc.string(), fc.string()),
        weights: vectors(
          named.reduce((size, tensor) => size + sizeOf(tensor), 0),
          fc.float(),
        ),
        shift: fc.nat({ max: 7 }),
      }),
    );
    fc.assert(
      fc.property(content, ({ named, metadata, weights, shift }) => {
        const whole = concatBytes(
          new Uint8Array(shift),
          safetensorsHeader(named, metadata),
          new Uint8Array(weights.buffer),
        );
        const parsed = parseSafetensors(whole.subarray(shift));
        expect(new Uint8Array(parsed.weights.buffer)).toEqual(new Uint8Array(weights.buffer));
        expect(parsed.metadata).toEqual(metadata);
        const full = ({ tensors: all }: { tensors: readonly NamedTensor[] }) =>
          all.filter((tensor) => sizeOf(tensor) > 0);
        expect(full(parsed)).toEqual(full({ tensors: named }));
        const byName = (all: readonly NamedTensor[]) => [...all].sort((a, b) => (a.name < b.name ? -1 : 1));
        expect(byName(parsed.tensors)).toEqual(byName(named));
      }),
      { numRuns: 500 },
    );
  });

  test('total: any bytes, and any JSON as header, are a file or SAFETENSORS_INVALID', () => {
    const entry = fc.oneof(
      fc.jsonValue(),
      fc.record(
        {
          dtype: fc.oneof(fc.constant('F32'), fc.jsonValue()),
          shape: fc.oneof(fc.array(fc.oneof(fc.nat(), fc.maxSafeNat(), fc.double())), fc.jsonValue()),
          data_offsets: fc.oneof(fc.array(fc.oneof(fc.nat(16), fc.maxSafeNat(), fc.double())), fc.jsonValue()),
        },
        { requiredKeys: [] },
      ),
    );
    const header = fc.oneof(
      fc.jsonValue().map((value) => JSON.stringify(value)),
      fc.dictionary(fc.oneof(fc.string(), fc.constant('__metadata__')), entry).map((value) => JSON.stringify(value)),
      fc.string(),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.tuple(header, fc.uint8Array()).map(([text, data]) => file(text, data)),
        ),
        (bytes) => {
          try {
            const { tensors: found, weights } = parseSafetensors(bytes);
            expect(found.reduce((size, tensor) => size + sizeOf(tensor), 0)).toBe(weights.length);
          } catch (error) {
            expect(error).toMatchObject({ code: 'SAFETENSORS_INVALID' });
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('truncated anywhere, or with anything behind it, a file is refused', () => {
    const whole = concatBytes(safetensorsHeader([{ name: 'a', shape: [2] }], {}), new Uint8Array(8));
    for (let length = 0; length < whole.length; length++) refusalOf(whole.subarray(0, length));
    refusalOf(concatBytes(whole, Uint8Array.of(0)));
    refusalOf(concatBytes(whole, whole));
  });
});

describe('hostile headers', () => {
  const one = (entry: string, data = 4): Uint8Array => file(`{"a":${entry}}`, new Uint8Array(data));
  const f32 = (shape: string, offsets: string): string => `{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}`;
  const two = (first: string, second: string, data: number): Uint8Array =>
    file(`{"a":${f32('[1]', first)},"b":${f32('[1]', second)}}`, new Uint8Array(data));

  const files: Readonly<Record<string, Uint8Array>> = {
    nothing: new Uint8Array(0),
    'seven bytes': new Uint8Array(7),
    'an empty header': file(''),
    'a header of 2^64 - 1 bytes': file('{}', undefined, 2n ** 64n - 1n),
    'a header of 2^63 bytes': file('{}', undefined, 2n ** 63n),
    'a header one byte longer than the file': file('{}', undefined, 3n),
    'a header above 16 MiB': file(`{}${' '.repeat(16 * 1024 * 1024)}`),
    'a header that is not UTF-8': file(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)),
    'a header behind a byte order mark': file('\ufeff{}'),
    'a header that is not JSON': file('{"a":}'),
    'a header that is a list': file('[]'),
    'a header that is null': file('null'),
    'a header nested a million deep': file('['.repeat(1_000_000)),
    'metadata that is a list': file('{"__metadata__":["a"]}'),
    'metadata with a number': file('{"__metadata__":{"a":1}}'),
    'an entry that is null': one('null'),
    'an entry that is a list': one('[]'),
    'no type': one('{"shape":[1],"data_offsets":[0,4]}'),
    'another type': one('{"dtype":"F16","shape":[2],"data_offsets":[0,4]}'),
    'a type that is an object': one('{"dtype":{"toString":1,"valueOf":1},"shape":[1],"data_offsets":[0,4]}'),
    'a type nested deep': one(
      `{"dtype":${'['.repeat(100_000)}${']'.repeat(100_000)},"shape":[1],"data_offsets":[0,4]}`,
    ),
    'no shape': one('{"dtype":"F32","data_offsets":[0,4]}'),
    'a negative length': one(f32('[-1]', '[0,4]')),
    'two negative lengths': one(f32('[-1,-1]', '[0,4]')),
    'half a length': one(f32('[0.5,2]', '[0,4]')),
    'a length as text': one(f32('["1"]', '[0,4]')),
    'lengths whose product overflows': one(f32('[9007199254740991,9007199254740991,9007199254740991]', '[0,4]')),
    'lengths whose product is not a number': one(f32(`[${'9007199254740991,'.repeat(30)}0]`, '[0,4]')),
    'one offset': one(f32('[1]', '[0]')),
    'three offsets': one(f32('[1]', '[0,4,4]')),
    'offsets that go back': one(f32('[1]', '[4,0]')),
    'negative offsets': one(f32('[1]', '[-4,0]')),
    'offsets beyond the file': one(f32('[1]', '[4,8]')),
    'more elements than bytes': one(f32('[2]', '[0,4]')),
    'fewer elements than bytes': one(f32('[1]', '[0,8]'), 8),
    'tensors that overlap': two('[0,4]', '[0,4]', 4),
    'tensors that overlap in part': two('[0,4]', '[2,6]', 6),
    'a hole before': two('[4,8]', '[8,12]', 12),
    'a hole between': two('[0,4]', '[8,12]', 12),
    'a hole behind': two('[0,4]', '[4,8]', 12),
    'a name twice, with a hole for the first': file(
      `{"a":${f32('[1]', '[0,4]')},"a":${f32('[1]', '[4,8]')}}`,
      new Uint8Array(8),
    ),
  };
  test.each(Object.entries(files))('%s', (_name, bytes) => {
    refusalOf(bytes);
  });

  test('the message names the tensor, its type and the way out', () => {
    const message = refusalOf(one('{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}'));
    expect(message).toContain('a is BF16; only F32 is taken: convert the model to float32');
  });
});
