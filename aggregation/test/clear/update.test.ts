import { AggregationError, clearUpdateLimit, decodeClearUpdate, encodeClearUpdate } from '@carapace/aggregation';
import type { ClearUpdate, Digest, RoundId } from '@carapace/aggregation';
import { utf8, Writer } from '@carapace/crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { updates } from '../arbitraries.ts';

const UPDATE: ClearUpdate = {
  round: 'mnist.1' as RoundId,
  base: '11'.repeat(32) as Digest,
  layout: '22'.repeat(32) as Digest,
  examples: 600,
  metrics: { accuracy: 0.5, loss: 2 },
  delta: Float32Array.of(1, -2),
};

/** Written by hand from `docs/protocol/wire-format.md`, section 2. */
const VECTOR =
  '4352505501' + // CRPU, format 1
  '00' + // protection clear
  '07000000' + // round: 7 bytes
  '6d6e6973742e31' + // mnist.1
  '11'.repeat(32) + // base
  '22'.repeat(32) + // layout
  '58020000' + // 600 examples
  '02' + // 2 metrics, names ascending
  '08000000' +
  '6163637572616379' +
  '000000000000e03f' + // accuracy 0.5
  '04000000' +
  '6c6f7373' +
  '0000000000000040' + // loss 2
  '02000000' + // 2 parameters
  '0000803f' +
  '000000c0'; // 1, -2

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

function refusalOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(AggregationError);
    expect((error as AggregationError).code).toBe('MESSAGE_INVALID');
    return (error as AggregationError).message;
  }
  throw new Error('it was taken');
}

test('the vector, both ways', () => {
  expect(hex(encodeClearUpdate(UPDATE))).toBe(VECTOR);
  expect(decodeClearUpdate(bytesOf(VECTOR))).toEqual(UPDATE);
});

describe('laws', () => {
  test('decode after encode is the identity, bit for bit', () => {
    fc.assert(
      fc.property(updates, (update) => {
        const decoded = decodeClearUpdate(encodeClearUpdate(update));
        const metrics = Object.fromEntries(Object.entries(update.metrics).map(([name, value]) => [name, value + 0]));
        expect({ ...decoded, metrics: { ...decoded.metrics } }).toEqual({ ...update, metrics });
        expect(hex(new Uint8Array(decoded.delta.buffer))).toBe(hex(new Uint8Array(update.delta.buffer)));
      }),
    );
  });

  test('nothing that is encoded is above the limit of its size', () => {
    fc.assert(
      fc.property(updates, (update) => {
        expect(encodeClearUpdate(update).length).toBeLessThanOrEqual(clearUpdateLimit(update.delta.length));
      }),
    );
    const metrics = Object.fromEntries(
      Array.from({ length: 32 }, (_value, i) => [
        `${'m'.repeat(62)}A${String.fromCharCode(97 + (i % 26))}`.slice(0, 64 - (i >= 26 ? 1 : 0)),
        1,
      ]),
    );
    const round = `${'a'.repeat(63)}.999999999` as RoundId;
    expect(encodeClearUpdate({ ...UPDATE, round, metrics }).length).toBeLessThanOrEqual(clearUpdateLimit(2));
  });

  test('total: any bytes are an update or MESSAGE_INVALID', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        refusalOf(() => decodeClearUpdate(bytes));
      }),
    );
  });

  test('canonical: a message with any bytes changed is refused, or is the encoding of what it decodes to', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(updates, changes, (update, edits) => {
        const bytes = encodeClearUpdate(update);
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        let decoded: ClearUpdate;
        try {
          decoded = decodeClearUpdate(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'MESSAGE_INVALID' });
          return;
        }
        expect(hex(encodeClearUpdate(decoded))).toBe(hex(bytes));
      }),
      { numRuns: 2_000 },
    );
  });

  test('truncated anywhere, or with anything behind it, it is refused', () => {
    const whole = bytesOf(VECTOR);
    for (let length = 0; length < whole.length; length++) refusalOf(() => decodeClearUpdate(whole.subarray(0, length)));
    for (const tail of [[0], [0x20], [...whole]])
      expect(refusalOf(() => decodeClearUpdate(Uint8Array.of(...whole, ...tail)))).toContain('DECODE_TRAILING');
  });

  test('the input may start anywhere in its buffer, and is not kept', () => {
    for (let shift = 0; shift < 8; shift++) {
      const buffer = new Uint8Array(shift + VECTOR.length / 2 + 3);
      buffer.set(bytesOf(VECTOR), shift);
      const decoded = decodeClearUpdate(buffer.subarray(shift, shift + VECTOR.length / 2));
      buffer.fill(0xff);
      expect(decoded).toEqual(UPDATE);
    }
  });
});

describe('negative vectors', () => {
  const header = () => new Writer().bytes(utf8('CRPU')).u8(1).u8(0);
  const named = (round: string | Uint8Array) =>
    header()
      .blob(typeof round === 'string' ? utf8(round) : round)
      .bytes(new Uint8Array(32))
      .bytes(new Uint8Array(32))
      .u32(1);
  const metrics = (...names: readonly string[]) =>
    names.reduce((writer, name) => writer.text(name).f64(1), named('mnist.1').u8(names.length)).u32(0);
  const metric = (value: string) => named('mnist.1').u8(1).text('loss').bytes(bytesOf(value)).u32(0);

  const messages: Readonly<Record<string, Writer>> = {
    'another magic': new Writer().bytes(utf8('CRPV')).bytes(bytesOf(VECTOR).subarray(4)),
    'another format': new Writer().bytes(utf8('CRPU')).u8(2).bytes(bytesOf(VECTOR).subarray(5)),
    'another protection': new Writer().bytes(utf8('CRPU')).u8(1).u8(1).bytes(bytesOf(VECTOR).subarray(6)),
    'a round id of another form': named('mnist').u8(0).u32(0),
    'a round id with a leading zero': named('mnist.01').u8(0).u32(0),
    'a round id behind a byte order mark': named('\ufeffmnist.1').u8(0).u32(0),
    'a round id with a line end': named('mnist.1\n').u8(0).u32(0),
    'a round id that is not UTF-8': named(Uint8Array.of(0xff, 0x2e, 0x31))
      .u8(0)
      .u32(0),
    'a round id longer than any': named(`${'a'.repeat(79)}.1`)
      .u8(0)
      .u32(0),
    'a round id of four billion bytes': header().u32(0xffff_ffff).bytes(utf8('mnist.1')),
    'metrics out of order': metrics('b', 'a'),
    'a metric twice': metrics('a', 'a'),
    'a metric without a name': metrics(''),
    'a metric with an underscore': metrics('val_loss'),
    'a metric that names the prototype': metrics('__proto__'),
    'a metric with a line end': metrics('loss\n'),
    'a metric behind a byte order mark': metrics('\ufeffloss'),
    'a metric name that is too long': metrics('a'.repeat(65)),
    'too many metrics': metrics(...Array.from({ length: 33 }, (_value, i) => `m${String(i).padStart(2, '0')}`)),
    'a metric that is NaN': metric('000000000000f87f'),
    'an infinite metric': metric('000000000000f07f'),
    'a metric of negative zero': metric('0000000000000080'),
    'more parameters than bytes': named('mnist.1').u8(0).u32(0xffff_ffff),
    'fewer parameters than bytes': named('mnist.1').u8(0).u32(0).u32(0),
  };
  test.each(Object.entries(messages))('%s', (_name, writer) => {
    refusalOf(() => decodeClearUpdate(writer.finish()));
  });
});

describe('what the decoder would refuse is not encoded', () => {
  const many = Object.fromEntries(Array.from({ length: 33 }, (_value, i) => [`m${i}`, 1]));
  const wrong: Readonly<Record<string, Partial<ClearUpdate>>> = {
    'a metric with an underscore': { metrics: { val_loss: 1 } },
    'a metric that begins with a capital': { metrics: { Loss: 1 } },
    'a metric without a name': { metrics: { '': 1 } },
    'a metric name that is too long': { metrics: { ['a'.repeat(65)]: 1 } },
    'too many metrics': { metrics: many },
    'a metric that is NaN': { metrics: { loss: NaN } },
    'an infinite metric': { metrics: { loss: Infinity } },
    'a fraction of an example': { examples: 1.5 },
    'more examples than 32 bits hold': { examples: 2 ** 32 },
    'fewer than no examples': { examples: -1 },
  };
  test.each(Object.entries(wrong))('%s', (_name, change) => {
    expect(() => encodeClearUpdate({ ...UPDATE, ...change })).toThrow(/^(MESSAGE_INVALID|ENCODE_RANGE): /);
  });

  test('the message names the metric and the form', () => {
    const message = refusalOf(() => encodeClearUpdate({ ...UPDATE, metrics: { val_loss: 1 } }));
    expect(message).toContain('val_loss');
    expect(message).toContain('letters and digits');
  });
});
