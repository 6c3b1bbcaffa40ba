import { signDocument } from '@carapace/aggregation';
import type { SignedDocument } from '@carapace/aggregation';
import { DOMAINS, fingerprint, generateSigningKey, toBase64url } from '@carapace/crypto';
import type { Domain, SigningKey } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Calls } from '../src/coordinator-calls.ts';
import { enrol } from '../src/enrolment.ts';
import { ProblemError } from '../src/transport/problem-error.ts';
import { COORDINATOR, MEMBERSHIP } from './fixtures.ts';

const CLIENT = generateSigningKey(seededRandom('a new client'));
const STRANGER = generateSigningKey(seededRandom('whoever stands between'));
const LINK = {
  coordinator: MEMBERSHIP.coordinator,
  token: `cpt1.${'a'.repeat(26)}.${'b'.repeat(43)}.${fingerprint(COORDINATOR.publicKey)}`,
  pin: fingerprint(COORDINATOR.publicKey),
};

const GRANT = {
  client: MEMBERSHIP.client,
  site: 'north',
  key: fingerprint(CLIENT.publicKey),
  coordinatorKey: toBase64url(COORDINATOR.publicKey),
  enrolledAt: 1_800_000_000_000,
};

const signed = (value: unknown, key: SigningKey = COORDINATOR, domain: Domain = DOMAINS.enrolment): SignedDocument =>
  signDocument(key, domain, value);

/** Enrols against a coordinator that answers so. */
function enrolled(answer: () => SignedDocument) {
  const calls: Pick<Calls, 'enrol'> = { enrol: async () => answer() };
  return enrol(calls as Calls, CLIENT, LINK, 'a client');
}

test('the grant of the pinned coordinator for this key is a membership', async () => {
  expect(await enrolled(() => signed(GRANT))).toEqual(MEMBERSHIP);
});

describe('whoever is not the pinned coordinator is not trusted', () => {
  const own = { ...GRANT, coordinatorKey: toBase64url(STRANGER.publicKey) };
  const cases: Readonly<Record<string, SignedDocument>> = {
    'its own key and signature': signed(own, STRANGER),
    'the right key, its own signature': signed(GRANT, STRANGER),
    'the right key and name, its own signature': {
      ...signed(GRANT, STRANGER),
      key: fingerprint(COORDINATOR.publicKey),
    },
    'a grant for another key': signed({ ...GRANT, key: fingerprint(STRANGER.publicKey) }),
    'another document of the coordinator': signed(GRANT, COORDINATOR, DOMAINS.assignment),
    'a changed grant': { ...signed(GRANT), payload: JSON.stringify({ ...GRANT, site: 'south' }) },
    'no key': signed({ ...GRANT, coordinatorKey: undefined }),
    'a key of small order': signed({ ...GRANT, coordinatorKey: toBase64url(new Uint8Array(32)) }),
    'no client': signed({ ...GRANT, client: undefined }),
    'a client of another form': signed({ ...GRANT, client: '../cl' }),
    'no JSON': { ...signed(GRANT), payload: '<html>' },
    null: signed(null),
    'a number': signed(7),
  };
  test.each(Object.entries(cases))('%s', async (_name, document) => {
    await expect(enrolled(() => document)).rejects.toMatchObject({ code: 'COORDINATOR_UNTRUSTED' });
  });

  test('any payload at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async (payload) => {
        await expect(enrolled(() => ({ ...signed(GRANT), payload }))).rejects.toMatchObject({
          code: 'COORDINATOR_UNTRUSTED',
        });
      }),
    );
  });
});

describe('a problem', () => {
  const failing = (problem: ProblemError) =>
    enrolled(() => {
      throw problem;
    });

  test('that is final refuses the token', async () => {
    const problem = new ProblemError(409, { code: 'TOKEN_SPENT', detail: 'it was used' });
    await expect(failing(problem)).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', cause: problem });
  });

  test('that passes comes as it is, to be tried again', async () => {
    const problem = new ProblemError(503, {});
    await expect(failing(problem)).rejects.toBe(problem);
  });
});
