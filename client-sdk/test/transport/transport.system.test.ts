/** The transport against servers that stall, cut, redirect and talk nonsense: it ends in its time, and says what is wrong. */
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { generateSigningKey } from '@carapace/crypto';
import { seededRandom } from '@carapace/crypto/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { signedTransport } from '../../src/transport/signed-transport.ts';
import { fetchTransport } from '../../src/transport/transport.ts';
import type { Request } from '../../src/transport/transport.ts';

const open: { server: Server; sockets: Set<Socket> }[] = [];
afterEach(() => {
  for (const { server, sockets } of open.splice(0)) {
    server.close();
    for (const socket of sockets) socket.destroy();
  }
});

async function serve(onData: (socket: Socket, text: string) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (data) => onData(socket, data.toString('latin1')));
  });
  open.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const get = (timeoutMs = 500): Request => ({
  method: 'GET',
  path: '/v1/coordinator',
  signal: new AbortController().signal,
  timeoutMs,
});
const answer = (status: string, body: string, more = ''): string =>
  `HTTP/1.1 ${status}\r\ncontent-length: ${body.length}\r\n${more}connection: close\r\n\r\n${body}`;

describe('no answer', () => {
  const failures: readonly (readonly [string, (socket: Socket) => void, RegExp])[] = [
    ['no headers', () => undefined, /not whole within 1 s/],
    ['half the headers', (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-'), /not whole within 1 s/],
    [
      'half the body',
      (socket) => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'),
      /not whole within 1 s/,
    ],
    ['a cut before the headers', (socket) => void socket.destroy(), /the connection was cut/],
    ['a reset', (socket) => void socket.resetAndDestroy(), /the connection was cut/],
    [
      'a cut in the body',
      (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'),
      /cut|terminated|other side closed/,
    ],
    ['no HTTP', (socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'), /gave no answer/],
    [
      'a redirect',
      (socket) => void socket.end(answer('302 Found', '', 'location: http://127.0.0.1:1/\r\n')),
      /redirect/,
    ],
  ];
  test.each(failures)('%s', async (_what, misbehave, why) => {
    const url = await serve(misbehave);
    await expect(fetchTransport(url)(get())).rejects.toThrow(why);
    await expect(fetchTransport(url)(get())).rejects.toThrow(url);
  });

  test('nobody listens', async () => {
    const url = await serve(() => undefined);
    const [entry] = open.splice(0);
    await new Promise((resolve) => entry?.server.close(resolve));
    await expect(fetchTransport(url)(get(5_000))).rejects.toThrow(/nothing listens there; start the coordinator/);
  });

  test('the caller stops: its own reason, not a failure of the coordinator', async () => {
    const url = await serve(() => undefined);
    const controller = new AbortController();
    const asked = fetchTransport(url)({ ...get(10_000), signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
  });
});

test('a busy coordinator behind a proxy that only sets the header', async () => {
  const url = await serve((socket) => void socket.end(answer('503 Service Unavailable', 'busy', 'retry-after: 7\r\n')));
  expect(await fetchTransport(url)(get())).toMatchObject({ status: 503, retryAfterMs: 7_000 });
});

describe('the signature', () => {
  const problem = (status: string, members: Record<string, unknown>): string => answer(status, JSON.stringify(members));
  const signerOf = (log: bigint[]) => {
    let next = 0n;
    return {
      key: generateSigningKey(seededRandom('signer')),
      random: seededRandom('nonces'),
      now: () => 1_800_000_000_000,
      nextSequence: async () => (next += 1n),
      skipSequenceTo: (highest: bigint) => {
        log.push(highest);
        next = highest;
      },
    };
  };
  const post = (): Request => ({
    ...get(2_000),
    method: 'POST',
    body: { contentType: 'application/json', bytes: new TextEncoder().encode('{}') },
  });

  test('is made anew with the coordinator’s time, once', async () => {
    const seen: string[] = [];
    const url = await serve((socket, text) => {
      seen.push(/created=(\d+)/.exec(text)?.[1] ?? '');
      socket.end(problem('401 Unauthorized', { code: 'SIGNATURE_EXPIRED', time: 1_900_000_000_000 }));
    });
    const send = signedTransport(fetchTransport(url), url, signerOf([]));
    await expect(send(get(2_000))).rejects.toMatchObject({ code: 'SIGNATURE_EXPIRED' });
    expect(seen).toEqual(['1800000000', '1900000000']);
  });

  test('goes on above the highest number that the coordinator has seen', async () => {
    const seen: string[] = [];
    const skipped: bigint[] = [];
    const url = await serve((socket, text) => {
      const sequence = /carapace-sequence: (\d+)/i.exec(text)?.[1];
      if (sequence === undefined) return;
      seen.push(sequence);
      socket.end(
        seen.length === 1
          ? problem('409 Conflict', { code: 'SEQUENCE_REPLAYED', highest: '41' })
          : answer('200 OK', '{}'),
      );
    });
    expect((await signedTransport(fetchTransport(url), url, signerOf(skipped))(post())).status).toBe(200);
    expect([seen, skipped]).toEqual([['1', '42'], [41n]]);
  });
});
