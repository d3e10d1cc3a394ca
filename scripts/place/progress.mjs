/**
 * What a person who waits sees. A step that ends within a second says nothing; a longer one says what it does, and then how
 * long it took. All of it goes to stderr, so that stdout belongs to the program that was asked for.
 */

const QUIET_MS = 1_000;

/** An ending with advice for the person at the keyboard: printed without a stack. */
export class SetupError extends Error {
  /** @param {string} message what is wrong @param {string} [advice] what to do about it */
  constructor(message, advice) {
    super(advice === undefined ? message : `${message}\n${advice}`);
    this.name = 'SetupError';
  }
}

/**
 * Runs one step and reports it when it takes longer than a second.
 * @template T
 * @param {string} what the step in a few words, e.g. `building`
 * @param {() => Promise<T>} step
 * @returns {Promise<T>}
 */
export async function watched(what, step) {
  const started = performance.now();
  let told = false;
  const timer = setTimeout(() => {
    told = true;
    process.stderr.write(`setup: ${what} ...\n`);
  }, QUIET_MS);
  try {
    const result = await step();
    if (told) process.stderr.write(`setup: ${what}: ${seconds(performance.now() - started)}\n`);
    return result;
  } finally {
    clearTimeout(timer);
  }
}

/** @param {number} ms @returns {string} seconds with one decimal, e.g. `2.6 s` */
export function seconds(ms) {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/**
 * The last word of a script: prints what went wrong and leaves with code 1.
 * @param {unknown} error
 * @returns {never}
 */
export function fail(error) {
  const text =
    error instanceof SetupError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
