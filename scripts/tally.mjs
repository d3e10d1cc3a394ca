/**
 * The closing lines of a test run: each failed test with the first line of what was wrong, then `N passed, N failed`, with `, N skipped`
 * when some were. A vitest reporter; it prints as the process ends, behind everything the other reporters say, and leaves the counts of
 * each file where `CIM_TALLY` says, for scripts/test.mjs.
 *
 * In CI a test that failed is tried once more (vitest.config.ts), then its file (scripts/test.mjs): machines are shared there and some tests
 * measure time and memory. What passed only then is named, so that none hides.
 *
 * A file that could not be loaded, a hook that threw outside any test and an error nobody caught count as one failure each.
 */
import { writeFileSync } from 'node:fs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */
/** @typedef {Record<string, Count>} Counts by file; failures of no file stand under '' */

/** The closing line. @param {Counts} counts */
export function lineOf(counts) {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const count of Object.values(counts)) for (const state of Object.keys(sum)) sum[state] += count[state];
  return `${sum.passed} passed, ${sum.failed} failed${sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''}`;
}

export default class Tally {
  #line;
  #again = [];
  #failed = [];

  onInit() {
    process.once('exit', () => {
      for (const name of this.#failed) process.stdout.write(`FAILED ${name}\n`);
      for (const name of this.#again) process.stdout.write(`passed only when tried again: ${name}\n`);
      if (this.#line !== undefined) process.stdout.write(`${this.#line}\n`);
    });
  }

  onTestRunEnd(modules, unhandled) {
    /** @type {Counts} */
    const counts = {};
    if (unhandled.length > 0) counts[''] = { passed: 0, failed: unhandled.length, skipped: 0 };
    for (const error of unhandled) this.#failed.push(`nobody caught ${wrong([error])}`);
    for (const module of modules) {
      const file = module.relativeModuleId ?? module.moduleId;
      const count = counts[file] ?? { passed: 0, failed: 0, skipped: 0 };
      counts[file] = count;
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        // A test without an ending did not pass: the run was cut short.
        count[state === 'pending' ? 'failed' : state]++;
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
    this.#line = lineOf(counts);
    const { CIM_TALLY } = process.env;
    if (CIM_TALLY) writeFileSync(CIM_TALLY, JSON.stringify(counts));
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
