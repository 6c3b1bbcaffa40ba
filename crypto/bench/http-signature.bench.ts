import { generateKeyPairSync, sign, verify } from 'node:crypto';
import {
  contentDigest,
  fingerprint,
  generateSigningKey,
  parseSignature,
  sha256,
  signMessage,
  systemRandom,
  verifyMessage,
} from '@carapace/crypto';
import type { CoveredMessage } from '@carapace/crypto';
import { figure, measure, perSecond, readable } from '../../scripts/bench-kit.ts';
import type { Bench } from '../../scripts/bench-kit.ts';

const CALLS = 2_000;

export const bench: Bench = {
  description: 'HTTP message signatures (RFC 9421) signed and verified per second, beside bare Ed25519',
  method:
    '2,000 signatures of one PUT with a body digest and a sequence number, then 2,000 times parsing and verifying one; bare: node:crypto over a message of 400 bytes with its keys imported once; 2 warm-ups, 7 repeats, medians',
  run: async () => {
    const key = generateSigningKey(systemRandom);
    const keyId = fingerprint(key.publicKey);
    const message: CoveredMessage = {
      method: 'PUT',
      authority: 'coordinator.example:7878',
      path: '/v1/client/rounds/mnist.1/updates/up_aaaaaaaaaaaaaaaaaaaaaaaaaa',
      query: '?offset=0&total=800000',
      body: { contentType: 'application/octet-stream', contentDigest: contentDigest(sha256(new Uint8Array(64))) },
      sequence: 7n,
    };
    const headers = signMessage(key, keyId, message, 1_800_000_000, 'abcdefghijklmnop');
    const bare = generateKeyPairSync('ed25519');
    const bytes = new Uint8Array(400);
    const signature = sign(null, bytes, bare.privateKey);

    const bareSigned = await measure(() => repeated(() => void sign(null, bytes, bare.privateKey)));
    const signed = await measure(() =>
      repeated(() => void signMessage(key, keyId, message, 1_800_000_000, 'abcdefghijklmnop')),
    );
    const bareVerified = await measure(() => repeated(() => holds(verify(null, bytes, bare.publicKey, signature))));
    const verified = await measure(() =>
      repeated(() => holds(verifyMessage(key.publicKey, message, parseSignature(headers)))),
    );
    return [
      figure('sign a request', 'requests/s', signed, {
        goal: 0.5 * bareSigned.median,
        anchor: `bare Ed25519: ${readable(bareSigned.median)} signatures/s`,
      }),
      figure('parse and verify a request', 'requests/s', verified, {
        goal: 0.5 * bareVerified.median,
        anchor: `bare Ed25519: ${readable(bareVerified.median)} verifications/s`,
      }),
    ];
  },
};

function repeated(body: () => void): Promise<number> {
  return perSecond(CALLS, () => {
    for (let i = 0; i < CALLS; i++) body();
  });
}

function holds(verified: boolean): void {
  if (!verified) throw new Error('a good signature does not verify');
}
