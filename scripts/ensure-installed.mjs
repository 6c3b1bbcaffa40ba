// Runs before `npm start`, `npm test`, `npm run check` and `npm run bench`, on whatever Node the host has:
// installs the locked packages when they are missing or older than the lock file. No dependency, no type syntax.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const lock = join(root, 'package-lock.json');
const installed = join(root, 'node_modules', '.package-lock.json');
const say = (line) => process.stderr.write(`${line}\n`);

const current = existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
if (!current) {
  say('carapace: installing the locked packages (once, about half a minute)…');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  // Own stdout stays free for --json consumers; npm's report goes to stderr. The engine warning is silenced because
  // the packages run on the Node 24 that this very install brings.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const result = spawnSync(npm, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (result.error !== undefined || result.status !== 0) {
    say(`carapace: \`npm ci\` failed (${result.error?.message ?? `exit code ${result.status}`}).`);
    say('carapace: check that a package registry can be reached, then run the same command again.');
    process.exit(1);
  }
}

const bundled = existsSync(join(root, 'node_modules', '.bin', 'node'));
const major = Number(process.versions.node.split('.')[0]);
if (!bundled && major < 24) {
  say(
    `carapace: Node 24 or newer is needed; this is ${process.version} and no packaged Node exists for this platform.`,
  );
  say('carapace: install Node 24 LTS, then run the same command again.');
  process.exit(1);
}
