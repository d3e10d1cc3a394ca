/**
 * The gate. Each step prints one line with its time, and what it found when it failed; all steps run, then any failure fails.
 * Nothing is written but the build.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, buildIsFresh } from '../place/build.mjs';
import { capture } from '../place/child.mjs';
import { seconds } from '../place/progress.mjs';
import { ROOT } from '../place/root.mjs';
import { askAudit, dependencyFaults, pinFaults } from './dependencies.mjs';
import { lengthFaults, licenceFaults, lockFaults } from './files.mjs';

const STEP_MS = 10 * 60_000;

/** Runs an installed tool on this Node. @returns {Promise<string[]>} its words when it failed */
async function tool(path, ...args) {
  const { code, output } = await capture(process.execPath, [join(ROOT, path), ...args], { cwd: ROOT, timeoutMs: STEP_MS });
  return code === 0 ? [] : [output.trimEnd() || `exit code ${code}`];
}

/** A step gives what is wrong; one that could not look says so in a note. @type {[string, () => Said | Promise<Said>][]} @typedef {string[] | { faults: string[], note?: string }} Said */
const steps = [
  ['build', buildStep],
  ['types of tests', () => tool('node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json')],
  [
    'lint and format',
    () => tool('node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '--max-diagnostics=50', '.'),
  ],
  ['plan', () => tool('scripts/plan/main.mjs')],
  ['dead code', () => tool('node_modules/knip/bin/knip.js', '--no-progress')],
  ['docs', () => tool('scripts/docs/render.mjs', '--check')],
  ['lock file', () => lockFaults(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))],
  ['length of sources', () => lengthFaults(ROOT)],
  ['licence', () => licenceFaults(ROOT)],
  ['dependencies', () => [...dependencyFaults(fileText('package-lock.json'), fileText('.npmrc')), ...pinFaults(ROOT)]],
  ['advisories', () => askAudit(ROOT)],
];

const fileText = (name) => readFileSync(join(ROOT, name), 'utf8');

async function buildStep() {
  if (!buildIsFresh()) await build(process.execPath, () => {});
  return [];
}

let failed = 0;
for (const [name, step] of steps) {
  const began = performance.now();
  let faults;
  let note;
  try {
    const said = await step();
    faults = Array.isArray(said) ? said : said.faults;
    note = Array.isArray(said) ? undefined : said.note;
  } catch (error) {
    faults = [error instanceof Error ? error.message : String(error)];
  }
  process.stdout.write(
    `${faults.length === 0 ? 'ok  ' : 'FAIL'}  ${name.padEnd(18)} ${seconds(performance.now() - began)}${note === undefined ? '' : `  ${note}`}\n`,
  );
  if (faults.length > 0) process.stdout.write(`${faults.join('\n')}\n`);
  failed += faults.length > 0 ? 1 : 0;
}
process.stdout.write(failed === 0 ? `all ${steps.length} checks passed\n` : `${failed} of ${steps.length} checks failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
