/**
 * `npm run test:packages`: popular packages from npm, unmodified, inside the real sandbox. Each has an agent in `agents/` that uses it in
 * earnest; the agent is built by the product's own bundler and called in an isolate, and its answer is compared with `expected.json`.
 * Those that cannot run as they are must fail as `expected.json` says, with a sentence that tells an author why.
 *
 * Prints a table and `N passed, N failed`; writes docs/packages.md, or with `--check` only says whether it is stale. With `--record` the
 * expected answers are taken from running the same agents in plain Node, to be looked at before they are kept. Names after the flags run
 * those packages only, and write nothing.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { bundle } from '../../packages/alchemist/src/bundle/bundle.ts';
import { type BundleContents, Fault, readBundle } from '../../packages/contracts/src/index.ts';
import { asVerified } from '../../packages/node-agent/src/bundle/verified.ts';
import { ask, openOf, sandboxOf } from '../../packages/node-agent/test/sandbox/fixture.ts';
import { type Line, renderPage } from './page.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const PAGE = join(HERE, '../../docs/packages.md');
const EXPECTED = join(HERE, 'expected.json');
const CALL_MS = 30_000;
/** Building is the larger part, and it is done by other processes. */
const AT_A_TIME = 3;

/** What a package answers, or the words with which it must be refused and the reason for the page. */
type Expected = { readonly answer: unknown } | { readonly refused: string; readonly why: string };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { record: { type: 'boolean', default: false }, check: { type: 'boolean', default: false } },
});
const expected = JSON.parse(readFileSync(EXPECTED, 'utf8')) as Record<string, Expected>;
const manifest = JSON.parse(readFileSync(join(HERE, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
const agents = readdirSync(join(HERE, 'agents'))
  .map((file) => file.replace(/\.js$/, ''))
  .filter((name) => positionals.length === 0 || positionals.includes(name))
  .sort();

const fileOf = (name: string): string => join(HERE, 'agents', `${name}.js`);
/** The package an agent is about: the first it imports that is not by path. */
const packageOf = (name: string): string => {
  const from = /^import[^;]* from '([^.'][^']*)'/m.exec(readFileSync(fileOf(name), 'utf8'))?.[1] ?? name;
  return from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');
};
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));
const wordsOf = (error: unknown): string => (error instanceof Fault ? `${error.code}: ${error.detail}` : String(error));

async function record(): Promise<void> {
  const found: Record<string, Expected> = { ...expected };
  for (const name of agents) {
    const known = expected[name];
    if (known !== undefined && 'refused' in known) continue;
    try {
      const { default: agent } = (await import(fileOf(name))) as {
        default: { capabilities: Record<string, { handle(): unknown }> };
      };
      found[name] = { answer: plain(await agent.capabilities['package.use']!.handle()) };
    } catch (error) {
      process.stderr.write(`${name}: not recorded: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  }
  const sorted = Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(EXPECTED, `${JSON.stringify(sorted, null, 1)}\n`);
}

async function run(): Promise<Line[]> {
  const sandbox = sandboxOf({ spareCells: 1 });
  await sandbox.start();
  const lines: Line[] = [];
  try {
    const waiting = [...agents];
    const worker = async () => {
      for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await one(name);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  } finally {
    await sandbox.stop(1000);
  }
  return lines.sort((a, b) => (a.name < b.name ? -1 : 1));

  async function one(name: string): Promise<void> {
    const began = performance.now();
    let size = 0;
    let outcome: { readonly answer: unknown } | { readonly words: string };
    try {
      const built = await bundle(fileOf(name), { name: 'package', timeout: '60s' });
      size = built.size;
      outcome = { answer: await inIsolate(await readBundle([built.bytes])) };
    } catch (error) {
      outcome = { words: wordsOf(error) };
    }
    const line = judge(name, outcome, size);
    lines.push(line);
    const took = `${Math.round(performance.now() - began)} ms`;
    process.stdout.write(
      `${line.ok ? 'ok  ' : 'FAIL'} ${name.padEnd(24)} ${line.version.padEnd(10)} ${took.padStart(8)}  ${line.note}\n`,
    );
  }

  async function inIsolate({ manifest: found, entry, sourceMap }: BundleContents): Promise<unknown> {
    const limits = { turnMs: 20_000, timeoutMs: CALL_MS, memoryBytes: 128 * 2 ** 20 };
    const options = openOf({ source: 'return null' }, { isolation: 'shared', limits });
    const isolate = await sandbox.open({
      ...options,
      bundle: asVerified({ ...options.bundle, manifest: found, entry, sourceMap }),
    });
    try {
      return await ask(isolate, null, { capability: 'package.use', budgetMs: CALL_MS });
    } finally {
      await isolate.close(100);
    }
  }
}

function judge(name: string, outcome: { readonly answer: unknown } | { readonly words: string }, size: number): Line {
  const wanted = expected[name];
  const of = packageOf(name);
  const line = { name, package: of, version: manifest.dependencies[of] ?? '?', kib: Math.ceil(size / 1024) };
  if (wanted === undefined) return { ...line, ok: false, runs: false, note: 'nothing expected: run with --record' };
  if ('refused' in wanted) {
    const said = 'words' in outcome ? outcome.words : JSON.stringify(outcome.answer);
    const ok = 'words' in outcome && outcome.words.includes(wanted.refused);
    return {
      ...line,
      ok,
      runs: false,
      note: ok ? wanted.why : `expected to be refused with "${wanted.refused}", found ${said.slice(0, 300)}`,
    };
  }
  if ('words' in outcome) return { ...line, ok: false, runs: false, note: outcome.words.slice(0, 400) };
  if (isDeepStrictEqual(outcome.answer, wanted.answer)) return { ...line, ok: true, runs: true, note: '' };
  const note = `expected ${JSON.stringify(wanted.answer).slice(0, 400)}, found ${JSON.stringify(outcome.answer).slice(0, 400)}`;
  return { ...line, ok: false, runs: false, note };
}

if (values.record) await record();
else {
  const lines = await run();
  const failed = lines.filter(({ ok }) => !ok).length;
  process.stdout.write(
    `${lines.filter(({ runs }) => runs).length} run unmodified, ${lines.filter(({ ok, runs }) => ok && !runs).length} refused as expected\n`,
  );
  let stale = false;
  if (positionals.length === 0 && failed === 0) {
    const page = renderPage(lines);
    stale = readFileSync(PAGE, { encoding: 'utf8', flag: 'a+' }) !== page;
    if (stale && values.check) process.stdout.write('docs/packages.md is stale: run `npm run test:packages`\n');
    else if (stale) writeFileSync(PAGE, page);
  }
  process.stdout.write(`${lines.length - failed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 || (stale && values.check) ? 1 : 0;
}
