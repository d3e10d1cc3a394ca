/**
 * The closing line of a test run: `N passed, N failed`, with `, N skipped` when some were. A vitest reporter; it prints as the
 * process ends, behind everything the other reporters say.
 *
 * In CI a test that failed is tried once more (vitest.config.ts): machines are shared there and some tests measure time and memory. Those
 * that passed only then are named, so that none hides.
 *
 * A file that could not be loaded, a hook that threw outside any test and an error nobody caught count as one failure each.
 */
export default class Tally {
  #line;
  #again = [];

  onInit() {
    process.once('exit', () => {
      for (const name of this.#again) process.stdout.write(`passed at the second try: ${name}\n`);
      if (this.#line !== undefined) process.stdout.write(`${this.#line}\n`);
    });
  }

  onTestRunEnd(modules, unhandled) {
    const count = { passed: 0, failed: unhandled.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        count[test.result().state]++;
        if (test.result().state === 'passed' && (test.diagnostic()?.retryCount ?? 0) > 0)
          this.#again.push(`${module.relativeModuleId ?? module.moduleId} > ${test.fullName}`);
      }
      count.failed += module.errors().length;
      for (const suite of module.children.allSuites()) count.failed += suite.errors().length;
    }
    // A test without an ending did not pass: the run was cut short.
    count.failed += count.pending;
    this.#line = `${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ''}`;
  }
}
