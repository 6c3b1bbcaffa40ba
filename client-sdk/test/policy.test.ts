import { parseClientId } from '@carapace/aggregation';
import type { Assignment, Protection } from '@carapace/aggregation';
import { describe, expect, test } from 'vitest';
import { DEFAULT_POLICY, objection } from '../src/policy.ts';
import type { Policy } from '../src/policy.ts';
import { ASSIGNMENT, COORDINATOR, MEMBERSHIP } from './fixtures.ts';

const POLICY: Policy = { ...DEFAULT_POLICY, protections: ['clear'], maxEpochs: 5, maxParameters: 10 };

const withEpochs = (epochs: number): Assignment => ({ ...ASSIGNMENT, training: { ...ASSIGNMENT.training, epochs } });
const withShapes = (...shapes: readonly (readonly number[])[]): Assignment => {
  const tensors = shapes.map((shape, index) => ({ name: `t${index}`, shape, policy: 'mean' as const }));
  return { ...ASSIGNMENT, model: { ...ASSIGNMENT.model, tensors } };
};

describe('what the device takes part in', () => {
  test.each([
    ['the assignment of these tests', ASSIGNMENT],
    ['the most epochs', withEpochs(5)],
    ['the most parameters, in one tensor', withShapes([2, 5])],
    ['the most parameters, in several', withShapes([3], [3, 2], [])],
  ])('%s', (_name, assignment) => {
    expect(objection(POLICY, assignment, MEMBERSHIP)).toBeNull();
  });
});

describe('what it declines, with figure and limit', () => {
  test.each([
    ['one epoch too many', withEpochs(6), '6 epochs are above this device’s limit of 5'],
    ['one parameter too many', withShapes([10], []), '11 parameters are above this device’s limit of 10'],
    ['more parameters than a number counts', withShapes([1e200, 1e200]), 'Infinity parameters are above'],
    [
      'a protection that it does not take',
      { ...ASSIGNMENT, protection: { kind: 'none' } as unknown as Protection },
      'this device does not take part with the protection none',
    ],
  ])('%s', (_name, assignment, reason) => {
    expect(objection(POLICY, assignment, MEMBERSHIP)?.replaceAll("'", '’')).toContain(reason);
  });

  test('a device that takes no protection at all takes no part', () => {
    expect(objection({ ...POLICY, protections: [] }, ASSIGNMENT, MEMBERSHIP)).not.toBeNull();
  });
});

test('shares are taken where nothing is sent in the clear with a pinned aggregator alone: another may be the coordinator', () => {
  const aggregator = parseClientId('cl_aaaaaaaaaaaaaaaaaaaaaaaaaa');
  const shared: Assignment = {
    ...ASSIGNMENT,
    protection: { kind: 'shares', clip: 1, bits: 16, aggregator, stepSeconds: 60, privacy: null },
  };
  const hiding: Policy = { ...DEFAULT_POLICY, protections: ['secagg', 'shares'] };
  expect(objection(DEFAULT_POLICY, shared, MEMBERSHIP)).toBeNull();
  expect(objection(hiding, shared, MEMBERSHIP)).toContain('pin it (--aggregator)');
  expect(objection(hiding, shared, { ...MEMBERSHIP, aggregator: COORDINATOR.publicKey })).toBeNull();
});

test('the default policy takes an everyday assignment', () => {
  expect(objection(DEFAULT_POLICY, ASSIGNMENT, MEMBERSHIP)).toBeNull();
});

test('a device with a limit for its examples trains with noise on them alone', () => {
  const policy: Policy = { ...POLICY, examples: { epsilon: 4, delta: 1e-6 } };
  expect(objection(policy, ASSIGNMENT, MEMBERSHIP)).toContain('trains on its examples with noise alone');
  const privacy = { unit: 'example', noiseMultiplier: '1', clip: 1 } as const;
  const noisy: Assignment = { ...ASSIGNMENT, training: { ...ASSIGNMENT.training, privacy } };
  expect(objection(policy, noisy, MEMBERSHIP)).toBeNull();
  expect(objection(POLICY, noisy, MEMBERSHIP)).toBeNull();
});
