/**
 * The closing lines of a test run: each failed test with the first line of what was wrong, then `N passed, N failed`, with `, N skipped`
 * when some were. A vitest reporter; it prints as the process ends, behind everything the other reporters say.
 *
 * In CI a test that failed is tried once more (vitest.config.ts): machines are shared there and some tests measure time and memory. Those
 * that passed only then are named, so that none hides.
 *
 * A file that could not be loaded, a hook that threw outside any test and an error nobody caught count as one failure each.
 */
export default class Tally {
  #line;
  #again = [];
  #failed = [];

  onInit() {
    process.once('exit', () => {
      for (const name of this.#failed) process.stdout.write(`FAILED ${name}\n`);
      for (const name of this.#again) process.stdout.write(`passed at the second try: ${name}\n`);
      if (this.#line !== undefined) process.stdout.write(`${this.#line}\n`);
    });
  }

  onTestRunEnd(modules, unhandled) {
    const count = { passed: 0, failed: unhandled.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      const file = module.relativeModuleId ?? module.moduleId;
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        count[state]++;
        const name = `${file} > ${test.fullName}`;
        if (state === 'failed') this.#failed.push(`${name}: ${wrong(errors)}`);
        if (state === 'pending') this.#failed.push(`${name}: did not end`);
        if (state === 'passed' && (test.diagnostic()?.retryCount ?? 0) > 0) this.#again.push(name);
      }
      for (const holder of [module, ...module.children.allSuites()]) {
        count.failed += holder.errors().length;
        for (const error of holder.errors()) this.#failed.push(`${file}: ${wrong([error])}`);
      }
    }
    for (const error of unhandled) this.#failed.push(`nobody caught ${wrong([error])}`);
    // A test without an ending did not pass: the run was cut short.
    count.failed += count.pending;
    this.#line = `${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ''}`;
  }
}

/** What was wrong, each time it was tried, and where: a line. */
function wrong(errors) {
  const said = (errors ?? []).map(({ message, stacks }) => {
    const at = stacks?.[0];
    return `${String(message).split('\n')[0].slice(0, 300)}${at ? ` (${at.file}:${at.line})` : ''}`;
  });
  return said.length === 0 ? 'said nothing' : said.join('; then ');
}
