/** A TCP proxy on loopback that fails on purpose: before a request reaches the coordinator, in the middle of it, or after it was answered. */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** `before`: the request is lost. `within`: half of it arrives. `after`: it is done, the answer is lost. */
export type Fault = 'none' | 'before' | 'within' | 'after';

export interface FaultyProxy {
  readonly url: string;
  /** What befell each request so far. */
  readonly log: readonly Fault[];
  close(): Promise<void>;
}

/** @param nextFault asked once for every request */
export async function faultyProxy(target: string, nextFault: (requestLine: string) => Fault): Promise<FaultyProxy> {
  const { hostname, port } = new URL(target);
  const log: Fault[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let fault: Fault | null = null;
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket.once('close', () => sockets.delete(socket)));
      socket.on('error', end).on('close', end);
    }
    client.on('data', (data) => {
      if (fault === null) {
        fault = nextFault(data.toString('latin1').split('\r\n')[0] ?? '');
        log.push(fault);
      }
      if (fault === 'before') end();
      else if (fault === 'within') upstream.write(data.subarray(0, data.length >> 1), end);
      else upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (fault === 'after') end();
      else {
        fault = null;
        client.write(data);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    log,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
