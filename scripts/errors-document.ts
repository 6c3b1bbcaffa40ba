/** `docs/errors.md` as the code has it: every code with its meaning, its fix and the folders whose files raise it. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { AGGREGATION_ERRORS, UPDATE_REFUSALS } from '../aggregation/src/index.ts';
import { CLI_ERRORS } from '../cli/src/errors.ts';
import { CLIENT_ERRORS } from '../client-sdk/src/errors.ts';
import { ABANDON_REASONS } from '../coordinator/src/domain/round.ts';
import { COORDINATOR_ERRORS } from '../coordinator/src/errors.ts';
import { CRYPTO_ERRORS } from '../crypto/src/index.ts';
import { ROOT } from './generated.ts';
import { SIMULATION_ERRORS } from '../simulations/src/errors.ts';

type Plain = readonly [meaning: string, fix: string];
type Answered = readonly [status: number, meaning: string, fix: string];

export interface ErrorTable {
  readonly title: string;
  readonly about: string;
  /** Rooms in which the codes are raised. */
  readonly rooms: readonly string[];
  readonly errors: Readonly<Record<string, Plain | Answered>>;
}

export const ERROR_TABLES: readonly ErrorTable[] = [
  {
    title: 'Coordinator',
    about:
      'Thrown as `CoordinatorError`, answered over HTTP as a problem document (RFC 9457) with this status and the code as its member `code`. Errors of `@carapace/crypto` and `@carapace/aggregation` that a request causes are answered as `REQUEST_INVALID`, a task document’s as `TASK_INVALID`, a question’s to the planner as `PLAN_INVALID` or `PRIVACY_TARGET_UNREACHABLE`.',
    rooms: ['coordinator'],
    errors: COORDINATOR_ERRORS,
  },
  {
    title: 'Refusals of updates',
    about:
      'Why an update was refused: the member `refusal` of the problems `UPDATE_REFUSED` and `ROUND_OVER`. What is refused changes no byte of the result.',
    rooms: ['aggregation', 'coordinator'],
    errors: UPDATE_REFUSALS,
  },
  {
    title: 'Client',
    about: 'Thrown as `ClientError` by `@carapace/client-sdk`.',
    rooms: ['client-sdk'],
    errors: CLIENT_ERRORS,
  },
  {
    title: 'Aggregation',
    about: 'Thrown as `AggregationError` by `@carapace/aggregation`.',
    rooms: ['aggregation'],
    errors: AGGREGATION_ERRORS,
  },
  {
    title: 'Crypto',
    about: 'Thrown as `CryptoError` by `@carapace/crypto`.',
    rooms: ['crypto'],
    errors: CRYPTO_ERRORS,
  },
  {
    title: 'Command',
    about:
      'Printed by `carapace` with the code, on stderr; the number is the exit code. Errors of the packages above end it with 2 (a document or option), 3 (nobody answers), 4 (refused) or 1.',
    rooms: ['cli'],
    errors: CLI_ERRORS,
  },
  {
    title: 'Simulations',
    about: 'Thrown as `SimulationError` by `@carapace/simulations`.',
    rooms: ['simulations'],
    errors: SIMULATION_ERRORS,
  },
];

export function errorsDocument(): string {
  return `# Errors

Every code, what it means, what to do about it, and where it is raised. Made from the \`errors.ts\` of each package by
\`node scripts/errors.ts\`; a test holds that it equals them.

${ERROR_TABLES.map(section).join('\n')}
## Why a round was abandoned

The \`reason\` of an abandoned round (\`docs/protocol/round.md\`), its label in \`fl_rounds_total\`.

| reason | meaning |
|---|---|
${Object.entries(ABANDON_REASONS)
  .map(([reason, meaning]) => `| \`${reason}\` | ${meaning} |\n`)
  .join('')}`;
}

/** Folders of the rooms whose files raise a code, from the root of the repository. */
export function raisers(rooms: readonly string[], code: string): string[] {
  const folders = rooms
    .flatMap(sourcesOf)
    .flatMap(({ path, text }) => (text.includes(`'${code}'`) ? [dirname(path)] : []));
  return [...new Set(folders)];
}

function section({ title, about, rooms, errors }: ErrorTable): string {
  const statuses = Object.values(errors).some((entry) => entry.length === 3);
  const header = statuses
    ? '| code | number | meaning | fix | raised in |\n|---|---|---|---|---|'
    : '| code | meaning | fix | raised in |\n|---|---|---|---|';
  const rows = Object.entries(errors).map(([code, entry]) => {
    const folders = raisers(rooms, code).map((path) => `\`${path}\``);
    return `| \`${code}\` | ${entry.join(' | ')} | ${folders.join(', ') || 'nowhere yet'} |`;
  });
  return `## ${title}\n\n${about}\n\n${header}\n${rows.join('\n')}\n`;
}

const sources = new Map<string, readonly { readonly path: string; readonly text: string }[]>();

/** The source files of a room, without its error table. */
function sourcesOf(room: string): readonly { readonly path: string; readonly text: string }[] {
  const known = sources.get(room);
  if (known !== undefined) return known;
  const files = readdirSync(join(ROOT, room, 'src'), { recursive: true, encoding: 'utf8' })
    .map((name) => `${room}/src/${name.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.ts') && !path.endsWith('/errors.ts'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
  sources.set(room, files);
  return files;
}
