#!/usr/bin/env node
// The entry point, in plain JavaScript so that an older Node can still say what is missing.
const major = Number(process.versions.node.split('.')[0]);
if (major < 24) {
  process.stderr.write(
    `carapace: Node 24 or newer is needed; this is ${process.version}.\n` +
      'carapace: in a clone of the project use `npm start` or `npx carapace`, which bring Node 24; elsewhere install Node 24 LTS.\n',
  );
  process.exitCode = 2;
} else {
  const { main } = await import('../src/main.ts');
  process.exitCode = await main(process.argv.slice(2));
}
