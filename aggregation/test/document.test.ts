import { DocumentReader } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';

class Refused extends Error {}
const reader = (value: unknown) => new DocumentReader(value, '', (message, options) => new Refused(message, options));

describe('every refusal is of the kind that the document asks for', () => {
  const mistakes: Readonly<Record<string, () => unknown>> = {
    'no object': () => reader([]),
    'no nested object': () => reader({ a: 1 }).object('a'),
    'a missing nested object': () => reader({}).object('a'),
    'an unknown key': () => reader({ a: 1 }).end(),
    'an unknown nested key': () =>
      reader({ a: { b: 1 } })
        .object('a')
        .end(),
    'a missing key': () => reader({}).text('a'),
    'a wrong number': () => reader({ a: '1' }).number('a', { min: 0, max: 1 }),
    'a wrong number or null': () => reader({ a: '1' }).numberOrNull('a', { min: 0, max: 1 }, null),
    'an empty text': () => reader({ a: '' }).text('a'),
    'no list': () => reader({ a: { length: 1 } }).list('a'),
    'a wrong choice': () => reader({ a: 'c' }).choice('a', ['b']),
    'what a parser refuses': () =>
      reader({ a: 'b' }).parsed('a', () => {
        throw new TypeError('no');
      }),
  };
  test.each(Object.entries(mistakes))('%s', (_name, mistake) => {
    expect(mistake).toThrow(Refused);
  });
});

describe('absent and null', () => {
  test('a default stands for what is absent or undefined, never for null', () => {
    for (const value of [{}, { a: undefined }]) {
      expect(reader(value).text('a', 'b')).toBe('b');
      expect(reader(value).number('a', { min: 0, max: 9 }, 7)).toBe(7);
      expect(reader(value).numberOrNull('a', { min: 0, max: 9 }, 7)).toBe(7);
      expect(reader(value).numberOrNull('a', { min: 0, max: 9 }, null)).toBeNull();
      expect(reader(value).textOrNull('a')).toBeNull();
      expect(() => reader(value).object('a', {}).end()).not.toThrow();
    }
    expect(() => reader({ a: null }).text('a', 'b')).toThrow('a is null; allowed is a text');
    expect(() => reader({ a: null }).object('a', {})).toThrow('a is null; allowed is an object with keys');
    expect(reader({ a: null }).numberOrNull('a', { min: 0, max: 9 }, 7)).toBeNull();
    expect(reader({ a: null }).textOrNull('a')).toBeNull();
  });

  test('keys of the prototype are not keys of the document', () => {
    expect(() => reader({}).text('constructor')).toThrow('constructor is missing; allowed is a text');
  });
});
