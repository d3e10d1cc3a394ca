/**
 * Bundles all that a cell reads into one folder: its own program, the prelude, and the parts of the platform that are loaded when first used.
 *
 * The program is one file, so that a cell starts without looking for modules and may read this folder and one addon, nothing else. What
 * isolates run are plain scripts, since no import can be followed inside one. A part is a function of one argument, `given`
 * (packages/node-agent/src/sandbox/prelude/parts.ts), and returns what it exports.
 *
 * Run as a program: `node scripts/place/cell.mjs`.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './root.mjs';

const FROM = join(ROOT, 'packages/node-agent/src/sandbox');
const TO = join(ROOT, 'packages/node-agent/dist/cell');
const LIBRARY = join(FROM, 'prelude/library');
const STAND_INS = join(LIBRARY, 'stand-ins');

/** Files of the library's folder that are no part by themselves. */
const NO_PART = new Set(['given.ts']);

/** Modules and globals of libraries that the platform replaces, part by part. The reasons stand in the files. */
const REPLACED = {
  schema: { inject: ['schema-url.ts'] },
  url: {
    alias: { tr46: 'idna.ts', '@exodus/bytes/whatwg.js': 'encoding.ts', '@exodus/bytes/encoding.js': 'encoding.ts' },
    inject: ['globals.ts'],
  },
};

const program = {
  bundle: true,
  // Node starts this sooner than modules.
  format: 'cjs',
  platform: 'node',
  target: 'node24',
  // Of what was read and nobody uses, nothing is parsed.
  treeShaking: true,
  legalComments: 'none',
  logLevel: 'warning',
};

const common = {
  bundle: true,
  format: 'iife',
  platform: 'neutral',
  mainFields: ['module', 'main'],
  target: 'es2024',
  // Every isolate holds these texts: minified the prelude alone costs 0.4 MB less each.
  minify: true,
  // One byte a character in memory, and every text may be read as Latin-1.
  charset: 'ascii',
  legalComments: 'none',
  logLevel: 'warning',
};

const parts = () =>
  readdirSync(LIBRARY)
    .filter((file) => file.endsWith('.ts') && !NO_PART.has(file))
    .map((file) => file.replace(/\.ts$/, ''))
    .sort();

/** @returns {boolean} whether all is there */
export const cellIsThere = () =>
  ['cell.cjs', 'prelude.js', ...parts().map((name) => `library/${name}.js`)].every((file) => existsSync(join(TO, file)));

async function main() {
  const { build } = await import('esbuild');
  await build({
    ...program,
    entryPoints: [join(FROM, 'cell/cell-main.ts')],
    outfile: join(TO, 'cell.cjs'),
    alias: { 'isolated-vm': join(FROM, 'cell/addon.ts') },
  });
  await build({ ...common, entryPoints: [join(FROM, 'prelude/index.ts')], outfile: join(TO, 'prelude.js') });
  rmSync(join(TO, 'library'), { recursive: true, force: true });
  mkdirSync(join(TO, 'library'), { recursive: true });
  for (const name of parts()) {
    const { alias = {}, inject = [] } = REPLACED[name] ?? {};
    await build({
      ...common,
      entryPoints: [join(LIBRARY, `${name}.ts`)],
      outfile: join(TO, 'library', `${name}.js`),
      globalName: 'cimPart',
      banner: { js: '(function(given){' },
      footer: { js: 'return cimPart})' },
      alias: Object.fromEntries(Object.entries(alias).map(([module, file]) => [module, join(STAND_INS, file)])),
      inject: inject.map((file) => join(STAND_INS, file)),
    });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
