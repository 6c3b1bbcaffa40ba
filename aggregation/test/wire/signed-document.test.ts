import { AggregationError, openDocument, signDocument } from '@carapace/aggregation';
import type { SignedDocument } from '@carapace/aggregation';
import { DOMAINS, generateSigningKey, fingerprint } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const KEY = generateSigningKey(seededRandom('coordinator'));
const OTHER = generateSigningKey(seededRandom('somebody else'));
const domains = fc.constantFrom(...Object.values(DOMAINS));

function refused(
  document: SignedDocument,
  key = KEY,
  domain: (typeof DOMAINS)[keyof typeof DOMAINS] = DOMAINS.receipt,
): void {
  try {
    openDocument(key.publicKey, domain, document);
  } catch (error) {
    expect(error).toBeInstanceOf(AggregationError);
    expect((error as AggregationError).code).toBe('SIGNATURE_INVALID');
    return;
  }
  throw new Error(`it was opened: ${JSON.stringify(document)}`);
}

test('what was signed opens, as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue(), domains, (value, domain) => {
      const opened = openDocument(KEY.publicKey, domain, signDocument(KEY, domain, value));
      expect(opened).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('the same document has the same signature: a receipt asked for twice is one receipt', () => {
  const value = { update: 'up_a', bytes: 3 };
  expect(signDocument(KEY, DOMAINS.receipt, value)).toEqual(signDocument(KEY, DOMAINS.receipt, value));
});

describe('refused', () => {
  const document = signDocument(KEY, DOMAINS.receipt, { client: 'cl_a', name: 'caf\u00e9 \ufffd \u{1f980}' });
  const fields = ['payload', 'signature', 'key'] as const;

  test('any character of any field changed, left out or put in', () => {
    const tamper = fc.record({
      field: fc.constantFrom(...fields),
      at: fc.nat(),
      drop: fc.constantFrom(0, 1),
      put: fc.oneof(
        fc.string({ unit: 'binary', maxLength: 1 }),
        fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
      ),
    });
    fc.assert(
      fc.property(tamper, ({ field, at, drop, put }) => {
        const text = document[field];
        const place = at % (text.length + 1);
        const changed = text.slice(0, place) + put + text.slice(place + drop);
        if (changed !== text) refused({ ...document, [field]: changed });
      }),
      { numRuns: 1_000 },
    );
  });

  test('every single bit of every field', () => {
    for (const field of fields) {
      for (let at = 0; at < document[field].length; at++) {
        for (let bit = 0; bit < 16; bit++) {
          const text = document[field];
          const flipped = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
          refused({ ...document, [field]: text.slice(0, at) + flipped + text.slice(at + 1) });
        }
      }
    }
  });

  test('half a surrogate pair where a replacement character was signed: in UTF-8 both are one', () => {
    refused({ ...document, payload: document.payload.replace('\ufffd', '\ud800') });
    refused({ ...document, payload: document.payload.replace('\ufffd', '\udc00') });
  });

  test('for another purpose', () => {
    for (const domain of Object.values(DOMAINS)) if (domain !== DOMAINS.receipt) refused(document, KEY, domain);
  });

  test('by another key, also under the right name', () => {
    refused(document, OTHER);
    const forged = signDocument(OTHER, DOMAINS.receipt, { client: 'cl_a' });
    refused(forged);
    refused({ ...forged, key: fingerprint(KEY.publicKey) });
    refused({ ...document, key: fingerprint(OTHER.publicKey) });
  });

  test('signatures of other lengths and alphabets', () => {
    const { signature } = document;
    const standard = Buffer.from(signature, 'base64url').toString('base64');
    for (const wrong of [
      '',
      'AAAA',
      `${signature}AA`,
      `${signature}=`,
      `${signature}==`,
      standard,
      ` ${signature}`,
      '!',
      signature.slice(0, -1),
    ])
      refused({ ...document, signature: wrong });
  });
});
