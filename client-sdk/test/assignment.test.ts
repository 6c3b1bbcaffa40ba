import { PROTOCOL_VERSION, signDocument } from '@carapace/aggregation';
import type { SignedDocument } from '@carapace/aggregation';
import { DOMAINS, generateSigningKey } from '@carapace/crypto';
import type { Domain } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkReceipt, openAssignment, timeAllowedMs } from '../src/assignment.ts';
import { ASSIGNMENT, COORDINATOR, MEMBERSHIP, RECEIPT, UPDATE } from './fixtures.ts';

const STRANGER = generateSigningKey(seededRandom('a stranger'));
const signed = (value: unknown): SignedDocument => signDocument(COORDINATOR, DOMAINS.assignment, value);
const open = (document: SignedDocument) => openAssignment(MEMBERSHIP, document);

describe('an assignment', () => {
  test('of the pinned coordinator for this client opens, with whatever it says more', () => {
    expect(open(signed(ASSIGNMENT))).toEqual(ASSIGNMENT);
    expect(open(signed({ ...ASSIGNMENT, hint: 1 }))).toEqual({ ...ASSIGNMENT, hint: 1 });
  });

  test('by anyone else, for anything else, or changed is refused', () => {
    const document = signed(ASSIGNMENT);
    for (const wrong of [
      signDocument(STRANGER, DOMAINS.assignment, ASSIGNMENT),
      signDocument(COORDINATOR, DOMAINS.receipt, ASSIGNMENT),
      { ...document, payload: document.payload.replace('"epochs":1', '"epochs":9') },
      { ...document, signature: '!' },
      { ...document, key: '' },
      signed({ ...ASSIGNMENT, client: `cl_${'z'.repeat(26)}` }),
    ])
      expect(() => open(wrong)).toThrow(/^ASSIGNMENT_INVALID: /);
  });

  test('in another protocol is refused as such, even when it has another form', () => {
    expect(() => open(signed({ ...ASSIGNMENT, protocol: PROTOCOL_VERSION + 1 }))).toThrow(/^PROTOCOL_UNSUPPORTED: /);
    expect(() => open(signed({ protocol: PROTOCOL_VERSION + 1 }))).toThrow(/^PROTOCOL_UNSUPPORTED: /);
  });

  const { model, training, protection } = ASSIGNMENT;
  test.each<[string, unknown]>([
    ['null', null],
    ['a text', 'assignment'],
    ['a list', [ASSIGNMENT]],
    ['nothing', {}],
    ['no protocol', { ...ASSIGNMENT, protocol: null }],
    ['a round of another form', { ...ASSIGNMENT, round: '../3' }],
    ['a task of another form', { ...ASSIGNMENT, task: 'MNIST' }],
    ['no model', { ...ASSIGNMENT, model: null }],
    ['weights that are no digest', { ...ASSIGNMENT, model: { ...model, weights: '../../etc/passwd' } }],
    ['a topology that is no digest', { ...ASSIGNMENT, model: { ...model, topology: 7 } }],
    ['no tensors', { ...ASSIGNMENT, model: { ...model, tensors: undefined } }],
    ['a deadline that is no number', { ...ASSIGNMENT, deadline: null }],
    ['no time of issue', { ...ASSIGNMENT, issuedAt: 'now' }],
    ['epochs that are no number', { ...ASSIGNMENT, training: { ...training, epochs: null } }],
    ['half an epoch', { ...ASSIGNMENT, training: { ...training, epochs: 0.5 } }],
    ['no protection', { ...ASSIGNMENT, protection: { ...protection, kind: undefined } }],
  ])('that is %s is refused', (_name, value) => {
    expect(() => open(signed(value))).toThrow(/^ASSIGNMENT_INVALID: /);
  });

  test('total: whatever is signed opens, or is refused with a code', () => {
    const replaced = fc
      .tuple(fc.constantFrom(...Object.keys(ASSIGNMENT)), fc.jsonValue())
      .map(([key, value]) => ({ ...ASSIGNMENT, [key]: value }));
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), replaced), (value) => {
        try {
          open(signed(value));
        } catch (error) {
          expect(['ASSIGNMENT_INVALID', 'PROTOCOL_UNSUPPORTED']).toContain((error as { code?: string }).code);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the time allowed', () => {
  const allowed = (deadline: number) => timeAllowedMs({ ...ASSIGNMENT, issuedAt: 1_000, deadline });

  test('is from issue to deadline, whatever this device’s clock shows', () => {
    expect(allowed(61_000)).toBe(60_000);
  });

  test('is what a timer of Node takes: whole, at least 1 ms, at most 24.8 days', () => {
    expect(allowed(2_500.75)).toBe(1_500);
    expect(allowed(1_000)).toBe(1);
    expect(allowed(0)).toBe(1);
    expect(allowed(30 * 86_400_000)).toBe(2_147_483_647);
    fc.assert(
      fc.property(fc.double({ min: 0, max: Number.MAX_SAFE_INTEGER, noNaN: true }), (deadline) => {
        expect(() => AbortSignal.timeout(allowed(deadline))).not.toThrow();
      }),
    );
  });
});

describe('a receipt', () => {
  const check = (value: unknown, key = COORDINATOR, domain: Domain = DOMAINS.receipt) =>
    checkReceipt(MEMBERSHIP, UPDATE, signDocument(key, domain, value));

  test('for this update is taken', () => {
    expect(() => check(RECEIPT)).not.toThrow();
  });

  test.each<[string, unknown]>([
    ['another update', { ...RECEIPT, update: `up_${'z'.repeat(26)}` }],
    ['another round', { ...RECEIPT, round: 'mnist.4' }],
    ['another client', { ...RECEIPT, client: `cl_${'z'.repeat(26)}` }],
    ['other bytes', { ...RECEIPT, digest: '44'.repeat(32) }],
    ['nothing', {}],
    ['null', null],
  ])('for %s is refused', (_name, value) => {
    expect(() => check(value)).toThrow(/^ASSIGNMENT_INVALID: /);
  });

  test('by another key, or signed as something else, is refused', () => {
    expect(() => check(RECEIPT, STRANGER)).toThrow(/^ASSIGNMENT_INVALID: /);
    expect(() => check(RECEIPT, COORDINATOR, DOMAINS.assignment)).toThrow(/^ASSIGNMENT_INVALID: /);
  });
});
