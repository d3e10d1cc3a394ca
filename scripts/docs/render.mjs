/**
 * Writes the pages of `docs/` that are made from the contract's own tables, or from what an isolate shows, so that a page cannot say what the code does not.
 * With `--check` nothing is written: each stale page is named, and the exit code is 1.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../place/root.mjs';

const PAGES = { 'docs/wire.md': 'renderWireDoc', 'docs/errors.md': 'renderErrorsDoc', 'docs/config.md': 'renderConfigDoc' };

const contracts = await import('../../packages/contracts/dist/index.js');
/** From tables of others than contracts, or made by looking: what an isolate of the built sandbox shows. */
const LOOKED_UP = {
  'docs/api.md': async () => (await import('../../packages/registry/dist/index.js')).renderApiDoc(),
  'docs/platform.md': async () => (await import('../../test/platform/survey.ts')).renderPlatformPage(),
};
const check = process.argv.includes('--check');
const pages = [...Object.entries(PAGES).map(([page, name]) => [page, contracts[name], name]), ...Object.entries(LOOKED_UP)];
for (const [page, render, name] of pages) {
  if (typeof render !== 'function') {
    process.stderr.write(`${page}: packages/contracts/src/index.ts exports no function ${name}\n`);
    process.exitCode = 1;
    continue;
  }
  const path = join(ROOT, page);
  const text = `${(await render()).trimEnd()}\n`;
  const known = existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  if (known === text) continue;
  if (check) {
    process.stderr.write(`${page} is ${known === undefined ? 'missing' : 'stale'}: run \`npm run docs\`\n`);
    process.exitCode = 1;
  } else {
    mkdirSync(join(ROOT, 'docs'), { recursive: true });
    writeFileSync(path, text);
    process.stdout.write(`${page} written\n`);
  }
}
