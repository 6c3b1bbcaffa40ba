/** `npm run bench` lists the benches; `npm run bench -- NAME [--json]` runs one. With `--json` the last line is an array of its figures. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMet, machine, readable } from './bench-kit.ts';
import type { Bench, Figure } from './bench-kit.ts';
import { ROOT } from './generated.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false } },
});
const [name] = positionals;
if (name === undefined) await list();
else await run(name, values.json);

async function list(): Promise<void> {
  for (const [known, path] of benches()) console.log(`${known.padEnd(16)} ${(await load(path)).description}`);
}

async function run(wanted: string, json: boolean): Promise<void> {
  const path = benches().get(wanted);
  if (path === undefined) {
    console.error(`there is no bench ${wanted}; there are ${[...benches().keys()].join(', ')}`);
    process.exit(1);
  }
  const bench = await load(path);
  console.log(`${wanted}: ${bench.description}\nmethod:  ${bench.method}\nmachine: ${machine()}\n`);
  const figures = await bench.run();
  for (const figure of figures) console.log(line(figure));
  if (json) console.log(JSON.stringify(figures.map(plain)));
}

/** By name, in its order. */
function benches(): Map<string, string> {
  const found = readdirSync(ROOT, { withFileTypes: true }).flatMap(({ name: room }) => {
    const folder = join(ROOT, room, 'bench');
    if (room === 'node_modules' || !existsSync(folder)) return [];
    return readdirSync(folder).flatMap((file): [string, string][] => {
      const known = /^([a-z0-9-]+)\.bench\.ts$/.exec(file)?.[1];
      return known === undefined ? [] : [[known, join(folder, file)]];
    });
  });
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function load(path: string): Promise<Bench> {
  const { bench } = (await import(path)) as { readonly bench: Bench };
  return bench;
}

function line(figure: Figure): string {
  const { what, value, unit, spread, goal, atMost = false, anchor } = figure;
  const wanted = goal === null ? '' : `${atMost ? '<=' : '>='} ${readable(goal)}`;
  const verdict = goal === null ? '' : `, goal ${wanted}: ${isMet(figure) === true ? 'met' : 'NOT MET'}`;
  return `${what}: ${readable(value)} ${unit} (${readable(spread[0])} to ${readable(spread[1])}${verdict})\n    beside ${anchor}`;
}

function plain(figure: Figure): Record<string, unknown> {
  const { what, value, unit, goal, anchor } = figure;
  return { what, value, unit, goal, met: isMet(figure), anchor };
}
