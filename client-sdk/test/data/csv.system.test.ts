import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { fromCsv } from '../../src/data/csv.ts';
import type { CsvOptions } from '../../src/data/csv.ts';
import { ClientError } from '../../src/errors.ts';
import type { Examples } from '../../src/training/engine.ts';

const directory = mkdtempSync(join(tmpdir(), 'carapace-csv-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const never = new AbortController().signal;
function fileOf(text: string | Uint8Array): string {
  const path = join(directory, `${createHash('sha256').update(text).digest('hex').slice(0, 16)}.csv`);
  writeFileSync(path, text);
  return path;
}
const read = (text: string | Uint8Array, options: Partial<CsvOptions> = {}): Promise<Examples> =>
  fromCsv({ path: fileOf(text), label: 'y', ...options }).load(never);

async function refusalOf(work: Promise<unknown>): Promise<ClientError> {
  const error: unknown = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ClientError);
  expect(error).toMatchObject({ code: 'DATA_INVALID' });
  return error as ClientError;
}

describe('a good file', () => {
  const plain = { count: 2, features: Float32Array.of(1, 2, 3, 4), labels: Int32Array.of(0, 1) };

  test.each([
    ['plain', 'a,b,y\n1,2,0\n3,4,1\n'],
    ['without a last line end', 'a,b,y\n1,2,0\n3,4,1'],
    ['with CRLF', 'a,b,y\r\n1,2,0\r\n3,4,1\r\n'],
    ['with a byte order mark', '\ufeffa,b,y\n1,2,0\n3,4,1\n'],
    ['with blank lines', '\na,b,y\n\n1,2,0\n\n\n3,4,1\n\n'],
    ['with spaces', ' a , b , y \n 1 , 2 , 0 \n 3 , 4 , 1 \n'],
    ['quoted', '"a","b","y"\n"1","2","0"\n"3","4","1"\n'],
    ['with numbers in other spellings', 'a,b,y\n1.0,2e0,0\n+3,.4e1,1\n'],
    ['with the label first', 'y,a,b\n0,1,2\n1,3,4\n'],
    ['with the label in the middle', 'a,y,b\n1,0,2\n3,1,4\n'],
  ])('%s', async (_name, text) => {
    expect(await read(text)).toEqual(plain);
  });

  test('comes back as it was written', async () => {
    const value = fc.float({ noNaN: true, noDefaultInfinity: true }).map((number) => (number === 0 ? 0 : number));
    const table = fc.array(fc.record({ x: fc.tuple(value, value, value), y: fc.nat(9) }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(table, async (rows) => {
        const lines = ['a,y,b,c', ...rows.map(({ x, y }) => [x[0], y, x[1], x[2]].join(','))];
        const examples = await read(lines.join('\n'));
        expect(examples.count).toBe(rows.length);
        expect(examples.features).toEqual(Float32Array.from(rows.flatMap(({ x }) => x)));
        expect(examples.labels).toEqual(Int32Array.from(rows.map(({ y }) => y)));
      }),
      { numRuns: 25 },
    );
  });

  test('larger than one piece of the stream', async () => {
    const rows = Array.from({ length: 20_000 }, (_value, index) => `${index},${index % 7}`);
    const { count, features, labels } = await read(['x,y', ...rows].join('\n'));
    expect(count).toBe(20_000);
    expect(features.at(-1)).toBe(19_999);
    expect(labels).toEqual(Int32Array.from({ length: 20_000 }, (_value, index) => index % 7));
  });

  test('has its features divided by the scale, not its labels', async () => {
    expect(await read('a,y\n255,255\n51,3\n', { scale: 255 })).toEqual({
      count: 2,
      features: Float32Array.of(1, 0.2),
      labels: Int32Array.of(255, 3),
    });
  });

  test('has labels that are no classes as they are', async () => {
    expect((await read('a,y\n1,0.5\n2,1\n')).labels).toEqual(Float32Array.of(0.5, 1));
    // Too large for a class index: it would come out as another number.
    expect((await read('a,y\n1,3000000000\n')).labels).toEqual(Float32Array.of(3_000_000_000));
  });

  test('with a header alone has no examples', async () => {
    expect(await read('a,b,y\n')).toMatchObject({ count: 0 });
  });

  test('is read again each time, and described by its name', async () => {
    const path = fileOf('a,y\n1,1\n');
    const source = fromCsv({ path, label: 'y' });
    expect(source.description).toBe(`CSV ${path}`);
    expect(await source.load(never)).toEqual(await source.load(never));
  });
});

describe('a bad file', () => {
  test.each([
    ['empty', '', /is empty; its first line must name the columns/],
    ['blank lines alone', '\n\n\n', /is empty/],
    ['without the column of the label', 'a,b\n1,2\n', /has no column "y"; it has a, b$/],
    ['a label that is empty', 'a,y\n1,2\n3,\n', /record 3, column "y" is not a finite number/],
    ['a label that is a word', 'a,y\n1,secret\n', /record 2, column "y" is not a finite number/],
    ['a feature that is a word', 'a,b,y\n1,secret,0\n', /record 2, column "b" is not a finite number/],
    ['a feature that is empty', 'a,b,y\n1,,0\n', /column "b" is not a finite number/],
    ['a feature that is infinite', 'a,y\nInfinity,0\n', /column "a" is not a finite number/],
    ['a feature that is no number', 'a,y\nNaN,0\n', /column "a" is not a finite number/],
    ['a feature that is infinite as a float32', 'a,y\n1e39,0\n', /column "a" is not a finite number/],
    ['a number with a comma of its own', 'a,y\n"1,5",0\n', /column "a" is not a finite number/],
    ['a row that is too short', 'a,b,y\n1,2,0\nsecret,4\n', /CSV_RECORD_INCONSISTENT_FIELDS_LENGTH at line 3/],
    ['a row that is too long', 'a,y\n1,0,secret\n', /CSV_RECORD_INCONSISTENT_FIELDS_LENGTH at line 2/],
    ['a quote that is not closed', 'a,y\n"secret,0\n', /CSV_QUOTE_NOT_CLOSED/],
    ['a quote within a value', 'a,y\nsec"ret,0\n', /cannot be read: (INVALID_OPENING_QUOTE|CSV_\w+) at line 2/],
  ])('%s', async (_name, text, message) => {
    const refusal = await refusalOf(read(text));
    expect(refusal.message).toMatch(message);
    // The coordinator is told why a round is declined, so nothing of the data may be in it.
    expect(refusal.message).not.toMatch(/secret|sec"/);
  });

  test('a scale so small that a feature becomes infinite', async () => {
    expect((await refusalOf(read('a,y\n1,0\n', { scale: 1e-300 }))).message).toMatch(/column "a"/);
  });

  test('one that is not there, or is a directory', async () => {
    const missing = await refusalOf(fromCsv({ path: join(directory, 'missing.csv'), label: 'y' }).load(never));
    expect(missing.message).toMatch(/missing\.csv cannot be read: ENOENT/);
    expect(missing.cause).toMatchObject({ code: 'ENOENT' });
    expect((await refusalOf(fromCsv({ path: directory, label: 'y' }).load(never))).message).toMatch(/EISDIR/);
  });

  test.each([0, Number.NaN, Number.POSITIVE_INFINITY])('a scale of %s', (scale) => {
    expect(() => fromCsv({ path: 'a.csv', label: 'y', scale })).toThrow(/DATA_INVALID: scale is/);
  });
});

test('reading ends with the signal, and that is no fault of the data', async () => {
  const path = fileOf(['a,y', ...Array.from({ length: 50_000 }, () => '1,2')].join('\n'));
  const already = AbortSignal.abort(new Error('stopped'));
  await expect(fromCsv({ path, label: 'y' }).load(already)).rejects.toMatchObject({ name: 'AbortError' });
  const controller = new AbortController();
  const loading = fromCsv({ path, label: 'y' }).load(controller.signal);
  controller.abort();
  await expect(loading).rejects.toMatchObject({ name: 'AbortError' });
});
