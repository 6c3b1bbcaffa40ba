/** `@carapace/coordinator/testing`: real databases, queues and clocks for tests, and the suites that every adapter passes. */
export { describeQueue } from './describe-queue.ts';
export { describeStore } from './describe-store.ts';
export { manualClock } from './manual-clock.ts';
export type { ManualClock } from './manual-clock.ts';
export { POSTGRES_MISSING, REDIS_MISSING, startPostgres, startRedis } from './servers.ts';
export type { TestPostgres, TestRedis } from './servers.ts';
export { embeddedDirectory, openTestStore } from './test-store.ts';
export type { TestStore } from './test-store.ts';
