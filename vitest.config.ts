import { defineConfig } from 'vitest/config';
import type { ViteUserConfig } from 'vitest/config';

const TEST_SEED = './scripts/test-seed.ts';

/**
 * Two kinds of test. `pure` files share one process (they hold no state); `*.system.test.ts` files open databases,
 * listen on loopback or start child processes, and get a process each. The pure ones go first.
 */
const config: ViteUserConfig = defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'pure',
          setupFiles: [TEST_SEED],
          include: ['*/test/**/*.test.ts'],
          exclude: ['**/*.system.test.ts', '**/node_modules/**'],
          pool: 'threads',
          isolate: false,
          sequence: { groupOrder: 0 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'system',
          setupFiles: [TEST_SEED],
          include: ['*/test/**/*.system.test.ts'],
          exclude: ['**/node_modules/**'],
          pool: 'forks',
          // Many of them start processes by the dozen and use every core: side by side they would measure, and starve, each other.
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
          testTimeout: 240_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});

export default config;
