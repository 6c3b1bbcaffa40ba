import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromCsv, fromExamples, fromModule } from '@carapace/client-sdk';
import type { Examples } from '@carapace/client-sdk';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'carapace-data-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const signal = new AbortController().signal;

let files = 0;
function file(content: string, extension: string): string {
  const path = join(folder, `${++files}.${extension}`);
  writeFileSync(path, content);
  return path;
}

const csv = (content: string, options: { label?: string; scale?: number } = {}): Promise<Examples> =>
  fromCsv({ path: file(content, 'csv'), label: 'label', ...options }).load(signal);

describe('a CSV file', () => {
  test('any table of numbers comes back, its label from whichever column has the name', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }).chain((width) =>
          fc.record({
            at: fc.nat(width),
            rows: fc.array(
              fc.record({
                label: fc.nat(9),
                features: fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), {
                  minLength: width,
                  maxLength: width,
                }),
              }),
              { minLength: 1, maxLength: 10 },
            ),
          }),
        ),
        async ({ at, rows }) => {
          const header = rows[0]!.features.map((_value, index) => `x${index}`).toSpliced(at, 0, 'label');
          const lines = rows.map(({ label, features }) => features.map(String).toSpliced(at, 0, String(label)).join());
          const examples = await csv([header.join(), ...lines].join('\n'));
          expect(examples.count).toBe(rows.length);
          expect([...examples.features]).toEqual(rows.flatMap(({ features }) => features.map((value) => value + 0)));
          expect(examples.labels).toEqual(Int32Array.from(rows, ({ label }) => label));
        },
      ),
      { numRuns: 50 },
    ));

  test('spaces, a byte order mark, empty lines and Windows line ends are no part of the numbers', async () => {
    const examples = await csv('\uFEFFlabel, a\r\n1, 51\r\n\r\n0, 102\r\n', { scale: 255 });
    expect(examples).toEqual({ count: 2, features: Float32Array.of(0.2, 0.4), labels: Int32Array.of(1, 0) });
  });

  test('labels that are not all whole are targets, not classes', async () => {
    expect((await csv('label,a\n0.5,1\n2,1')).labels).toEqual(Float32Array.of(0.5, 2));
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['nothing', '', /is empty; its first line must name the columns/],
    ['no such column', 'a,b\n1,2', /no column "label"; it has a, b/],
    ['a word', 'label,a\n1,2\n1,two', /record 3, column "a": "two" is not a number/],
    ['a gap', 'label,a\n1,', /record 2, column "a": "" is not a number/],
    ['infinity', 'label,a\n1,Infinity', /"Infinity" is not a number/],
    ['a row too short', 'label,a,b\n1,2', /cannot be read/],
  ];
  test.each(wrong)('%s is refused by place', async (_name, content, why) => {
    await expect(csv(content)).rejects.toMatchObject({ code: 'DATA_INVALID', message: expect.stringMatching(why) });
  });

  test('a file that is not there, and a scale that is none', async () => {
    await expect(fromCsv({ path: join(folder, 'none.csv'), label: 'label' }).load(signal)).rejects.toThrow(
      /cannot be read/,
    );
    for (const scale of [0, Number.NaN, Infinity])
      expect(() => fromCsv({ path: 'x.csv', label: 'y', scale })).toThrow(/scale/);
  });

  test('reading ends when the client stops', async () => {
    const path = file('label,a\n1,2\n', 'csv');
    await expect(fromCsv({ path, label: 'label' }).load(AbortSignal.abort())).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});

describe('examples in memory', () => {
  const good: Examples = { count: 2, features: Float32Array.of(1, 2, 3, 4), labels: Int32Array.of(0, 1) };

  test('are given as they are', async () => {
    expect(await fromExamples(good).load(signal)).toBe(good);
  });

  const wrong: readonly (readonly [string, Partial<Examples>])[] = [
    ['features that do not divide', { features: new Float32Array(3) }],
    ['labels that do not divide', { labels: new Int32Array(3) }],
    ['no features', { features: new Float32Array(0) }],
    ['half an example', { count: 1.5 }],
    ['a feature that is not a number', { features: Float32Array.of(1, 2, Number.NaN, 4) }],
    ['an infinite feature', { features: Float32Array.of(1, 2, 3, Infinity) }],
  ];
  test.each(wrong)('%s: refused', (_name, part) => {
    expect(() => fromExamples({ ...good, ...part })).toThrow(expect.objectContaining({ code: 'DATA_INVALID' }));
  });
});

describe('a module', () => {
  const source = (body: string): string => `export default ${body};`;
  const load = `{ description: 'mine', load: async () => ({ count: 1, features: Float32Array.of(1), labels: Int32Array.of(0) }) }`;

  test('gives a source, or a function that makes one from options', async () => {
    const plain = await fromModule(file(source(load), 'mjs'));
    expect(plain.description).toBe('mine');
    expect((await plain.load(signal)).count).toBe(1);
    const made = await fromModule(file(source(`async ({ name }) => ({ ...${load}, description: name })`), 'mjs'), {
      name: 'site 7',
    });
    expect(made.description).toBe('site 7');
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['that throws', 'throw new Error("no disk")', /failed: no disk/],
    ['without a default export', 'export const load = 1', /must have a default export/],
    ['whose default is no source', source('{ description: 1 }'), /must have a default export/],
    ['whose function gives nothing', source('() => undefined'), /must have a default export/],
  ];
  test.each(wrong)('%s is refused', async (_name, content, why) => {
    await expect(fromModule(file(content, 'mjs'))).rejects.toMatchObject({
      code: 'DATA_INVALID',
      message: expect.stringMatching(why),
    });
  });

  test('its examples are checked like any other', async () => {
    const odd = await fromModule(file(source(load.replace('count: 1', 'count: 2')), 'mjs'));
    await expect(odd.load(signal)).rejects.toMatchObject({ code: 'DATA_INVALID' });
  });
});
