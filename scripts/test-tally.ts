/** Counts of a test run. A skip names its reason in `context.skip(reason)`, or in its title or a suite's: `… — skipped: <reason>`. */
import type { TestCase, TestModule } from 'vitest/node';

export interface Skip {
  /** File and full name. */
  readonly test: string;
  readonly reason: string;
}

export interface Tally {
  readonly passed: number;
  /** Failed tests, suites and files, errors that nothing handled, and skips without a reason. */
  readonly failed: number;
  readonly skipped: readonly Skip[];
  readonly unreasoned: readonly string[];
}

const REASON = /— skipped: (.+)$/;

export function tally(
  modules: readonly TestModule[],
  unhandledErrors: number,
  { reasons }: { readonly reasons: boolean },
): Tally {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const suites = modules.flatMap((module) => [module, ...module.children.allSuites()]);
  const brokenSuites = suites.filter((suite) => suite.errors().length > 0).length;
  const skips = tests.filter((test) => test.result().state === 'skipped');
  const skipped = skips.flatMap((test) => {
    const reason = reasonOf(test);
    return reason === null ? [] : [{ test: nameOf(test), reason }];
  });
  // A suite whose hook failed leaves its tests skipped: the failure is counted once, as the suite's.
  const unreasoned = reasons
    ? skips.filter((test) => reasonOf(test) === null && !isInBrokenSuite(test)).map((test) => nameOf(test))
    : [];
  const failedTests = tests.filter((test) => test.result().state === 'failed').length;
  return {
    passed: tests.filter((test) => test.result().state === 'passed').length,
    failed: failedTests + brokenSuites + unhandledErrors + unreasoned.length,
    skipped,
    unreasoned,
  };
}

export function isGreen({ passed, failed }: Tally): boolean {
  return failed === 0 && passed > 0;
}

export function sum(a: Tally, b: Tally): Tally {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: [...a.skipped, ...b.skipped],
    unreasoned: [...a.unreasoned, ...b.unreasoned],
  };
}

/** The reasons, each with its tests; nothing when nothing was skipped. */
export function skipLines({ skipped, unreasoned }: Tally): string[] {
  const byReason = Map.groupBy(skipped, ({ reason }) => reason);
  return [
    ...(skipped.length > 0 ? ['Skipped:'] : []),
    ...[...byReason].flatMap(([reason, skips]) => [
      `  ${reason} (${skips.length})`,
      ...skips.map(({ test }) => `    ${test}`),
    ]),
    ...(unreasoned.length > 0 ? ['Skipped without a reason, which counts as failed (CONTRIBUTING.md, "Skips"):'] : []),
    ...unreasoned.map((test) => `    ${test}`),
  ];
}

export function countsLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped.length} skipped`;
}

function reasonOf(test: TestCase): string | null {
  const result = test.result();
  if (result.state === 'skipped' && result.note !== undefined) return result.note;
  return (
    test.fullName
      .split(' > ')
      .map((title) => REASON.exec(title)?.[1])
      .find((reason) => reason !== undefined) ?? null
  );
}

function isInBrokenSuite(test: TestCase): boolean {
  for (let parent = test.parent; ; parent = parent.parent) {
    if (parent.errors().length > 0) return true;
    if (parent.type === 'module') return false;
  }
}

function nameOf(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}
