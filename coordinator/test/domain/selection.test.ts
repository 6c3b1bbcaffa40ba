import fc from 'fast-check';
import { expect, test } from 'vitest';
import { capPerSite } from '../../src/domain/selection.ts';

const items = fc
  .array(fc.constantFrom('a', 'b', 'c', '__proto__', ''))
  .map((sites) => sites.map((site, index) => ({ site, index })));
const cap = fc.integer({ min: 1, max: 5 });

test('without a cap all are kept', () => {
  fc.assert(
    fc.property(items, (all) => {
      expect(capPerSite(all, null)).toEqual(all);
    }),
  );
});

test('with a cap the first of each site are kept, in their order, and nobody else is dropped', () => {
  fc.assert(
    fc.property(items, cap, (all, most) => {
      const first = all.filter(
        ({ site, index }) => all.filter((other) => other.site === site && other.index < index).length < most,
      );
      expect(capPerSite(all, most)).toEqual(first);
    }),
  );
});

test('what it is given is not changed', () => {
  const all = Object.freeze([{ site: 'a' }, { site: 'a' }]);
  expect(capPerSite(all, 1)).toEqual([{ site: 'a' }]);
  expect(capPerSite(all, null)).not.toBe(all);
});
