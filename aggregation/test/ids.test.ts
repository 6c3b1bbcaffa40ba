import {
  newClientId,
  newUpdateId,
  parseClientId,
  parseDigest,
  parseModelName,
  parseRoundId,
  parseTaskId,
  parseUpdateId,
  roundIdOf,
} from '@carapace/aggregation';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { roundIds } from './arbitraries.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

const FORMS: Readonly<
  Record<string, { parse: (text: string) => unknown; good: readonly string[]; bad: readonly string[] }>
> = {
  'task id': {
    parse: parseTaskId,
    good: ['a', 'mnist', 'mnist-2', 'a1-b2-c3', 'a'.repeat(63)],
    bad: ['', 'A', '1a', 'a--b', '-a', 'a-', 'a_b', 'a b', 'a.b', 'a\n', '\ufeffa', 'é', 'a'.repeat(64)],
  },
  'model name': { parse: parseModelName, good: ['lenet-5'], bad: ['', 'LeNet', '../etc', 'a/b'] },
  'client id': {
    parse: parseClientId,
    good: [`cl_${LETTERS}`, `cl_${'2'.repeat(26)}`],
    bad: [
      '',
      'cl_',
      `up_${LETTERS}`,
      `cl_${LETTERS}a`,
      `cl_${LETTERS.slice(1)}`,
      `cl_${'1'.repeat(26)}`,
      `CL_${LETTERS}`,
    ],
  },
  'update id': {
    parse: parseUpdateId,
    good: [`up_${LETTERS}`],
    bad: [`cl_${LETTERS}`, `up_${LETTERS}\n`, `up_${LETTERS.toUpperCase()}`, `up_../../../../../../../../../..`],
  },
  digest: {
    parse: parseDigest,
    good: ['0'.repeat(64), 'af'.repeat(32)],
    bad: ['', '0'.repeat(63), '0'.repeat(65), 'AF'.repeat(32), 'g'.repeat(64), `${'0'.repeat(64)}\n`],
  },
  'round id': {
    parse: parseRoundId,
    good: ['mnist.1', 'a.999999999', `${'a'.repeat(63)}.1`],
    bad: [
      '',
      'mnist',
      'mnist.',
      '.1',
      'mnist.0',
      'mnist.01',
      'mnist.-1',
      'mnist.1.2',
      'mnist.1e3',
      'mnist.1000000000',
      'A.1',
    ],
  },
};

describe.each(Object.entries(FORMS))('a %s', (_name, { parse, good, bad }) => {
  test.each(good)('is "%s"', (text) => expect(() => parse(text)).not.toThrow());
  test.each(bad)('is not "%s"', (text) => expect(() => parse(text)).toThrow(/^ID_MALFORMED: /));
  test('or it is refused: any text is one or the other', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parse(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ID_MALFORMED' });
        }
      }),
    );
  });
});

test('a round id is its task and its number', () => {
  fc.assert(
    fc.property(roundIds, (text) => {
      const { id, task, number } = parseRoundId(text);
      expect(id).toBe(text);
      expect(roundIdOf(task, number)).toBe(text);
    }),
  );
});

test('new ids parse, differ, and follow from their randomness', () => {
  const random = seededRandom('ids');
  const made = Array.from({ length: 200 }, () => [newClientId(random), newUpdateId(random)]);
  for (const [client, update] of made) {
    expect(parseClientId(client!)).toBe(client);
    expect(parseUpdateId(update!)).toBe(update);
  }
  expect(new Set(made.flat()).size).toBe(400);
  expect(newClientId(seededRandom(1))).toBe(newClientId(seededRandom(1)));
});
