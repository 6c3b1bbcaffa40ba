/** Signs every call (RFC 9421, profile carapace-v1), and mends what the coordinator says is wrong with clock or sequence. */
import { contentDigest, fingerprint, sha256, signMessage, toBase64url } from '@carapace/crypto';
import type { CoveredMessage, RandomSource, SigningKey } from '@carapace/crypto';
import { ProblemError } from './problem-error.ts';
import type { Request, Response, Transport } from './transport.ts';

export interface Signer {
  readonly key: SigningKey;
  readonly random: RandomSource;
  readonly now: () => number;
  readonly nextSequence: () => Promise<bigint>;
  readonly skipSequenceTo: (highest: bigint) => void;
}

/** Answers other than 2xx reject as {@link ProblemError}. */
export function signedTransport(transport: Transport, coordinator: string, signer: Signer): Transport {
  const base = new URL(coordinator);
  // What the coordinator's clock shows minus what this one does.
  let skewMs = 0;

  const send = async (request: Request): Promise<Response> => {
    const headers = await sign(request, base, signer, signer.now() + skewMs);
    const response = await transport({ ...request, headers: { ...request.headers, ...headers } });
    if (response.status >= 200 && response.status < 300) return response;
    throw new ProblemError(response.status, parseProblem(response.bytes), response.retryAfterMs);
  };

  return async (request) => {
    try {
      return await send(request);
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      if (!mend(error)) throw error;
      return await send(request);
    }
  };

  /** Whether the problem was one of clock or sequence, and the next try will differ. */
  function mend({ code, members }: ProblemError): boolean {
    if (code === 'SIGNATURE_EXPIRED' && typeof members['time'] === 'number') {
      skewMs = members['time'] - signer.now();
      return true;
    }
    if (
      code === 'SEQUENCE_REPLAYED' &&
      typeof members['highest'] === 'string' &&
      /^\d{1,19}$/.test(members['highest'])
    ) {
      signer.skipSequenceTo(BigInt(members['highest']));
      return true;
    }
    return false;
  }
}

async function sign(request: Request, base: URL, signer: Signer, now: number): Promise<Record<string, string>> {
  const url = new URL(`${base.href.replace(/\/$/, '')}${request.path}`);
  const covered = {
    method: request.method,
    authority: url.host,
    path: url.pathname,
    query: url.search === '' ? '?' : url.search,
  };
  const nonce = toBase64url(signer.random.bytes(18));
  const keyId = fingerprint(signer.key.publicKey);
  const seconds = Math.floor(now / 1000);
  if (request.method === 'GET') return { ...signMessage(signer.key, keyId, covered, seconds, nonce) };
  const digest = contentDigest(sha256(request.body?.bytes ?? new Uint8Array(0)));
  const sequence = await signer.nextSequence();
  const message: CoveredMessage = {
    ...covered,
    body: { contentType: request.body?.contentType ?? '', contentDigest: digest },
    sequence,
  };
  return {
    ...signMessage(signer.key, keyId, message, seconds, nonce),
    'content-digest': digest,
    'carapace-sequence': String(sequence),
  };
}

function parseProblem(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    // Not a problem document: a proxy's page, or nothing. The status alone has to do.
    return {};
  }
}
