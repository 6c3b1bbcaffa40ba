import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../generated.ts';

const documents = globSync(['*.md', 'docs/**/*.md', '*/README.md'], { cwd: ROOT }).sort();

test.each(documents)('%s links to what is there', (path) => {
  const text = readFileSync(join(ROOT, path), 'utf8').replaceAll(/^```[\s\S]*?^```$/gm, '');
  const targets = [...text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target = '']) => target);
  const missing = targets.filter(
    (target) => !/^[a-z]+:/.test(target) && !existsSync(join(ROOT, dirname(path), target)),
  );
  expect(missing).toEqual([]);
});
