/** Draws who imports whom, from the real imports, into ARCHITECTURE.md between its markers; `--check` fails when it is stale. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { cruise } from 'dependency-cruiser';
import type { ICruiseOptions, ICruiseResult } from 'dependency-cruiser';
import { ROOT, writeOrCheck } from './generated.ts';

const ROOMS = ['crypto', 'aggregation', 'coordinator', 'client-sdk', 'simulations', 'cli'];
const FILE = 'ARCHITECTURE.md';

type Edge = readonly [from: string, to: string];

/** Every import between source files, as paths from the root. */
async function imports(): Promise<Edge[]> {
  const config = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as { readonly options: ICruiseOptions };
  const { output } = await cruise(
    ROOMS.map((room) => `${room}/src`),
    { ...config.options, baseDir: ROOT },
  );
  return (output as ICruiseResult).modules.flatMap(({ source, dependencies }) =>
    dependencies.map(({ resolved }): Edge => [source, resolved]),
  );
}

/** A flow chart of what `nodeOf` makes of the two ends of each import. Null is left out, and so is what stays inside a node. */
function chart(edges: readonly Edge[], nodeOf: (path: string) => string | null): string {
  const drawn = edges.flatMap(([from, to]) => {
    const [a, b] = [nodeOf(from), nodeOf(to)];
    return a === null || b === null || a === b ? [] : [`  ${node(a)} --> ${node(b)}`];
  });
  return ['```mermaid', 'flowchart LR', ...[...new Set(drawn)].sort(), '```'].join('\n');
}

/** A slash cannot stand in a mermaid id: the label has the name then. */
function node(name: string): string {
  return name.includes('/') ? `${name.replace('/', '_')}[${name}]` : name;
}

function roomOf(path: string): string | null {
  return ROOMS.find((room) => path.startsWith(`${room}/`)) ?? null;
}

/** `domain`, `app`, `adapters/http`, …: the parts of the coordinator. */
function partOf(path: string): string | null {
  const part = /^coordinator\/src\/(adapters\/[a-z-]+|[a-z-]+)/.exec(path)?.[1] ?? null;
  return part === 'errors' || part === 'index' ? null : part;
}

function between(text: string, name: string, content: string): string {
  const [start, end] = [`<!-- ${name}:start -->`, `<!-- ${name}:end -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${FILE} has no ${start} … ${end}`);
  return `${text.slice(0, from + start.length)}\n${content}\n${text.slice(to)}`;
}

const edges = await imports();
const document = readFileSync(join(ROOT, FILE), 'utf8');
const withRooms = between(document, 'rooms', chart(edges, roomOf));
writeOrCheck(FILE, between(withRooms, 'coordinator', chart(edges, partOf)), 'node scripts/architecture.ts');
