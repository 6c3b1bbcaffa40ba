/**
 * Opens the embedded records in argv[2], checks that every commit journalled in argv[3] is there, then writes until it is killed:
 * each commit is journalled once it is acknowledged. Says `open`, `missing <name>`, `acknowledged`, `lost` or the code of an error.
 */
import { existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { openStore } from '../../src/adapters/store/open-store.ts';
import { CoordinatorError } from '../../src/errors.ts';
import { NOW, taskNamed } from '../../testing/store/scene.ts';

const [, , directory = '', journal = ''] = process.argv;
const say = (line: string): void => void writeSync(1, `${line}\n`);

try {
  const { store } = await openStore({ kind: 'embedded', directory }, () => {
    say('lost');
    process.exit(3);
  });
  const known = new Set((await store.listTasks()).map(({ task }) => task.name as string));
  const audited = new Set((await store.listAudit(0, 1_000_000)).map(({ object }) => object));
  const acknowledged = existsSync(journal) ? readFileSync(journal, 'utf8').split('\n').filter(Boolean) : [];
  for (const name of acknowledged) if (!known.has(name) || !audited.has(name)) say(`missing ${name}`);
  for (const name of known) if (!audited.has(name)) say(`torn ${name}`);
  say('open');

  const file = openSync(journal, 'a');
  const write = async (lane: number): Promise<never> => {
    for (let count = 0; ; count++) {
      const name = `p${process.pid}-${lane}-${count}`;
      await store.transaction('write', async (records) => {
        await records.insertTask(taskNamed(name), NOW);
        await records.appendAudit({ at: NOW, actor: 'test', action: 'write', object: name, detail: {} });
      });
      writeSync(file, `${name}\n`);
      say('acknowledged');
    }
  };
  await Promise.all([write(0), write(1), write(2)]);
} catch (error) {
  say(error instanceof CoordinatorError ? `${error.code} ${error.message}` : String(error));
  process.exit(2);
}
