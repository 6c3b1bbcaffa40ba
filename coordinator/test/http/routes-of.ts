/** Every route that the server answers to, as `METHOD /path`, read from the server itself. */
import type { CoordinatorApi } from '../../src/app/api.ts';
import { buildServer } from '../../src/adapters/http/server.ts';
import { createTelemetry } from '../../src/adapters/telemetry/telemetry.ts';
import { systemClock } from '../../src/main.ts';

export async function routesOf(api: CoordinatorApi): Promise<string[]> {
  const server = await buildServer({
    api,
    clock: systemClock,
    telemetry: createTelemetry('0', { jobs: async () => ({}), clients: async () => ({ active: 0, revoked: 0 }) }),
    emit: () => undefined,
    modelWriter: null,
    options: {
      name: 'listed',
      version: '0',
      publicModels: false,
      enrolmentsPerMinute: 1,
      authenticationFailuresPerMinute: 1,
      log: 'silent',
    },
  });
  const tree = server.printRoutes({ commonPrefix: false });
  await server.close();
  return parseTree(tree).sort();
}

/** `│   └── /:client (GET, HEAD)`: four characters a level, the path below its parent's. */
function parseTree(tree: string): string[] {
  const above: string[] = [];
  return tree.split('\n').flatMap((line) => {
    const match = /^((?:[│ ] {3})*)[├└]── (\S+) \(([A-Z, ]+)\)$/.exec(line);
    if (match === null) {
      if (line.trim() !== '') throw new Error(`an unknown line in the tree of routes: ${line}`);
      return [];
    }
    const depth = (match[1] ?? '').length / 4;
    const path = `${above[depth - 1] ?? ''}${match[2] ?? ''}`;
    above.splice(depth, above.length, path);
    return (match[3] ?? '').split(', ').map((method) => `${method} ${path}`);
  });
}
