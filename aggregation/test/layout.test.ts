import { AggregationError, defaultPolicies, layoutOf } from '@carapace/aggregation';
import type { TensorSpec } from '@carapace/aggregation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tensorLists } from './arbitraries.ts';

const mean = (name: string, shape: readonly number[] = [2]): TensorSpec => ({ name, shape, policy: 'mean' });
const variance = (name: string, meanTensor: string, shape: readonly number[] = [2]): TensorSpec => {
  return { name, shape, policy: 'pooled-variance', meanTensor };
};

describe('laws', () => {
  test('tensors lie one after the other, without a gap, in the order given', () => {
    fc.assert(
      fc.property(tensorLists, (tensors) => {
        const { slots, size } = layoutOf(tensors);
        let offset = 0;
        slots.forEach((slot, index) => {
          expect(slot).toMatchObject(tensors[index]!);
          expect(slot.offset).toBe(offset);
          expect(slot.size).toBe(slot.shape.reduce((product, length) => product * length, 1));
          offset += slot.size;
        });
        expect(size).toBe(offset);
      }),
    );
  });

  test('the digest is of names, shapes, policies and order, and of nothing else', () => {
    fc.assert(
      fc.property(tensorLists, tensorLists, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        expect(layoutOf(a).digest === layoutOf(b).digest).toBe(same);
        expect(layoutOf(JSON.parse(JSON.stringify(a)) as TensorSpec[]).digest).toBe(layoutOf(a).digest);
      }),
    );
    const digest = layoutOf([mean('ab'), mean('c')]).digest;
    for (const other of [
      [mean('a'), mean('bc')],
      [mean('c'), mean('ab')],
      [mean('ab', [2, 1]), mean('c')],
      [mean('ab', [1, 2]), mean('c')],
      [mean('ab'), { ...mean('c'), policy: 'keep' as const }],
    ])
      expect(layoutOf(other).digest).not.toBe(digest);
  });

  test('the digest is the same for ever: another would cut off every client of an older version', () => {
    expect(layoutOf([mean('a/moving_mean', [3]), variance('a/moving_variance', 'a/moving_mean', [3])]).digest).toBe(
      '7c1a172e8011729b1be1e25cd25eff5b9a63aeb88131839d8e0dec7dc929b9d0',
    );
  });
});

describe('what is no layout', () => {
  const keep: TensorSpec = { name: 'm', shape: [2], policy: 'keep' };
  const wrong: Readonly<Record<string, readonly TensorSpec[]>> = {
    'no tensor': [],
    'a name twice': [mean('a'), mean('b'), mean('a')],
    'a length of zero': [mean('a', [2, 0])],
    'a negative length': [mean('a', [-2, -2])],
    'half a length': [mean('a', [0.5])],
    'a length that is not a number': [mean('a', [NaN])],
    'an infinite length': [mean('a', [Infinity])],
    'one parameter too many': [mean('a', [2 ** 29]), mean('b', [])],
    'more parameters than a number can count': [
      mean(
        'a',
        Array.from({ length: 40 }, () => 2 ** 40),
      ),
    ],
    'more tensors than any model has': Array.from({ length: 200_000 }, (_value, i) => mean(`t${i}`, [])),
    'a policy that this version does not know': [{ ...mean('a'), policy: 'median' as 'mean' }],
    'a variance without a mean': [{ name: 'v', shape: [2], policy: 'pooled-variance' }],
    'a variance with a mean that is not there': [variance('v', 'm')],
    'a variance with a mean of another shape': [mean('m', [1, 2]), variance('v', 'm')],
    'a variance with a mean that is kept': [keep, variance('v', 'm')],
    'a variance of itself': [variance('v', 'v')],
    'a variance of a variance': [mean('m'), variance('v', 'm'), variance('w', 'v')],
    'a mean tensor for what pools no variance': [mean('m'), { ...mean('a'), meanTensor: 'm' }],
  };
  test.each(Object.entries(wrong))('%s', (_name, tensors) => {
    expect(() => layoutOf(tensors)).toThrow(AggregationError);
    expect(() => layoutOf(tensors)).toThrow(/^LAYOUT_INVALID: /);
  });

  test('half a billion parameters are a layout', () => {
    expect(layoutOf([mean('a', [2 ** 29])]).size).toBe(2 ** 29);
  });
});

describe('default policies', () => {
  test('a moving variance goes with its mean, everything else is averaged', () => {
    const shape = [4];
    const names = ['conv/kernel', 'norm/gamma', 'norm/moving_mean', 'norm/moving_variance', 'lone/moving_variance'];
    expect(defaultPolicies(names.map((name) => ({ name, shape })))).toEqual([
      mean('conv/kernel', shape),
      mean('norm/gamma', shape),
      mean('norm/moving_mean', shape),
      variance('norm/moving_variance', 'norm/moving_mean', shape),
      mean('lone/moving_variance', shape),
    ]);
  });
});
