/**
 * Runs files of the public web platform tests (`*.any.js`) in isolates of the real sandbox, each file in one of its own, and prints what passed.
 *
 *   npm run test:wpt -- FOLDER [PART ...]    FOLDER: a checkout of web-platform-tests, or the part of it that Node carries
 *
 * The tests are not part of this repository; a line is printed for each file that does not pass whole. Scripts of a test are evaluated as scripts,
 * for which the isolate is granted code from strings; shared memory and WebAssembly too, since the tests of others make their buffers by them. Exit code 0 however many fail: which of them should pass is for a reader to say.
 * Format of a test: https://web-platform-tests.org/writing-tests/testharness.html
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { Fault } from '@cim/contracts';
import { ask, openOf, sandboxOf } from '../../packages/node-agent/test/sandbox/fixture.ts';

/** What makes sense without a document, a network or another agent. */
const PARTS = [
  'console',
  'dom/abort',
  'dom/events',
  'encoding',
  'FileAPI/blob',
  'FileAPI/file',
  'hr-time',
  'html/webappapis/atob',
  'html/webappapis/microtask-queuing',
  'html/webappapis/structured-clone',
  'html/webappapis/timers',
  'streams',
  'url',
  'WebCryptoAPI',
];
/** Interfaces are surveyed for docs/platform.md; these need what is read from WebIDL, or a second agent. */
const LEFT_OUT = /idlharness|historical|\/transferable\/|serviceworker|sharedarraybuffer/;
const FILE_MS = 30_000;

/** Runs inside: the scripts, then what the harness found. */
const RUN = `
  globalThis.self = globalThis;
  globalThis.GLOBAL = { isWindow: () => false, isWorker: () => false, isShadowRealm: () => false };
  globalThis.location = { search: '', pathname: '/', href: 'https://web-platform.test/', origin: 'https://web-platform.test' };
  const answers = (text) => ({ ok: true, status: 200, text: async () => text, json: async () => JSON.parse(text) });
  globalThis.fetch = async (path) => {
    const text = input.files[path];
    if (text === undefined) throw new TypeError('no file ' + path);
    return answers(text);
  };
  // Not of the platform; the tests of Blob read by it.
  globalThis.FileReader = class {
    #read(given) {
      given.then((result) => {
        this.result = result;
        this.onload?.({ target: this });
        this.onloadend?.({ target: this });
      });
    }
    readAsText(blob) { this.#read(blob.text()); }
    readAsArrayBuffer(blob) { this.#read(blob.arrayBuffer()); }
  };
  const script = (0, eval);
  script(input.harness);
  const ended = new Promise((done) => {
    globalThis.add_completion_callback((tests, { message }) =>
      done({ message, tests: tests.map(({ name, status, message }) => [String(name).slice(0, 200), status, message === null ? '' : String(message).slice(0, 200)]) }));
  });
  // As one: what one script declares the next one sees.
  script(';' + input.scripts.join('\\n;'));
  globalThis.done?.();
  const late = new Promise((done) => setTimeout(() => done({ message: 'not ended in time', tests: [] }), input.ms));
  return await Promise.race([ended, late]);`;

interface Outcome {
  readonly message: string | null;
  /** Name, status (0 passed), message. */
  readonly tests: readonly (readonly [string, number, string])[];
}

const read = (path: string): string => readFileSync(path, 'utf8');

/** The scripts a test names, then itself. */
function scriptsOf(root: string, file: string): string[] {
  const text = read(file);
  const named = [...text.matchAll(/^\/\/ META: script=(.+)$/gm)].map(([, path]) => {
    const at = path!.trim();
    return at.startsWith('/') ? join(root, at) : resolve(dirname(file), at);
  });
  return [...named.map((path) => (existsSync(path) ? read(path) : '')), text];
}

/** JSON that the scripts fetch, by the path they spell. */
function filesOf(root: string, file: string, scripts: readonly string[]): Record<string, string> {
  const paths = scripts.flatMap((text) => [...text.matchAll(/["'`]([\w./-]+\.json)["'`]/g)].map(([, path]) => path!));
  const at = (path: string) => (path.startsWith('/') ? join(root, path) : resolve(dirname(file), path));
  return Object.fromEntries(paths.filter((path) => existsSync(at(path))).map((path) => [path, read(at(path))]));
}

async function main(folder: string | undefined, parts: readonly string[]): Promise<void> {
  const root = resolve(folder ?? '');
  const harnessFile = join(root, 'resources/testharness.js');
  if (folder === undefined || !existsSync(harnessFile)) {
    process.stderr.write('usage: npm run test:wpt -- FOLDER [PART ...]; FOLDER has resources/testharness.js\n');
    process.exitCode = 2;
    return;
  }
  const harness = read(harnessFile);
  const sandbox = sandboxOf({ allow: ['codegen', 'wasm', 'sharedMemory'], maxReply: '4Mi' });
  await sandbox.start();
  const manifest = { grants: { codegen: true, wasm: true, sharedMemory: true } };
  const limits = { turnMs: 20_000, timeoutMs: FILE_MS + 10_000, memoryBytes: 256 * 2 ** 20 };
  let [passed, failed, whole, files] = [0, 0, 0, 0];
  for (const part of parts.length > 0 ? parts : PARTS) {
    const all = readdirSync(join(root, part), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.any.js') && !LEFT_OUT.test(`/${name}`))
      .sort();
    let [good, bad] = [0, 0];
    for (const name of all) {
      const file = join(root, part, name);
      files += 1;
      let outcome: Outcome;
      try {
        const isolate = await sandbox.open(openOf({ source: `return (async () => { ${RUN} })()`, manifest }, { limits }));
        try {
          const scripts = scriptsOf(root, file);
          const input = { harness, scripts, files: filesOf(root, file, scripts), ms: FILE_MS };
          outcome = await ask(isolate, input, { budgetMs: FILE_MS + 10_000 });
        } finally {
          await isolate.close(0);
        }
      } catch (error) {
        outcome = { message: error instanceof Fault ? `${error.code}: ${error.detail}` : String(error), tests: [] };
      }
      const missed = outcome.tests.filter(([, status]) => status !== 0);
      good += outcome.tests.length - missed.length;
      bad += missed.length + (outcome.tests.length === 0 ? 1 : 0);
      if (missed.length === 0 && outcome.tests.length > 0) {
        whole += 1;
        continue;
      }
      const said =
        missed.length > 0 ? missed.map(([title, , why]) => `${title}: ${why}`) : [outcome.message ?? 'no test in it'];
      process.stdout.write(`${relative(root, file)}: ${missed.length} of ${outcome.tests.length} failed\n`);
      for (const line of all.length === 1 || parts.length > 0 ? said : said.slice(0, 1))
        process.stdout.write(`    ${line.replace(/\s+/g, ' ').slice(0, 300)}\n`);
    }
    passed += good;
    failed += bad;
    process.stdout.write(`== ${part}: ${all.length} files, ${good} passed, ${bad} failed\n`);
  }
  await sandbox.stop(1_000);
  process.stdout.write(`${whole} of ${files} files passed whole\n${passed} passed, ${failed} failed\n`);
}

await main(process.argv[2], process.argv.slice(3));
