/**
 * What is known of the packages from outside without asking anybody: licences, install scripts, exact versions, deprecation. What only a
 * registry knows (advisories) is asked where one answers, and said to be unchecked where none does.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { capture } from '../place/child.mjs';

/** Licences that may be shipped with Apache-2.0. */
const LICENCES = new Set([
  'MIT',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'Unlicense',
  '0BSD',
  'CC0-1.0',
  'BlueOak-1.0.0',
]);

/** Packages that would run something when they are installed, and why it does not matter that nothing runs (.npmrc: ignore-scripts). */
const SCRIPTS = new Map([
  ['esbuild', 'its binary comes as a package of its own; the script only moves it into place'],
  ['isolated-vm', 'prebuilt binaries are in the package; the script would build it anew'],
]);

/** `^1.0.0`, `latest`, `*` and addresses are promises of somebody else's. */
const EXACT = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/;

const nameOf = (path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

/** True when one of the licences of an expression may be shipped, or all of those that hold together. */
export function licenceAllowed(expression) {
  if (typeof expression !== 'string') return false;
  const plain = expression.replaceAll(/[()]/g, '').trim();
  return plain.split(/\s+OR\s+/).some((one) => one.split(/\s+AND\s+/).every((part) => LICENCES.has(part)));
}

/**
 * @param {string} text package-lock.json
 * @param {string} npmrc
 * @returns {string[]}
 */
export function dependencyFaults(text, npmrc) {
  const faults = [];
  if (!/^ignore-scripts\s*=\s*true$/m.test(npmrc))
    faults.push('.npmrc: expected ignore-scripts=true: nothing of others runs when it is installed');
  for (const [path, entry] of Object.entries(JSON.parse(text).packages)) {
    if (!path.includes('node_modules/') || entry.link === true) continue;
    const name = nameOf(path);
    if (entry.hasInstallScript && !SCRIPTS.has(name))
      faults.push(
        `package-lock.json: ${path} has an install script: see whether it works without, then list it in scripts/check/dependencies.mjs`,
      );
    if (entry.dev) continue;
    if (!licenceAllowed(entry.license))
      faults.push(
        `package-lock.json: ${path} has the licence ${entry.license ?? 'none'}; expected one of ${[...LICENCES].join(', ')}`,
      );
    if (entry.deprecated !== undefined) faults.push(`package-lock.json: ${path} is deprecated: ${entry.deprecated}`);
  }
  return faults;
}

/** Every dependency of ours is one version and no other. @param {string} root the checkout @returns {string[]} */
export function pinFaults(root) {
  const folders = [
    root,
    ...['packages', 'examples']
      .filter((top) => existsSync(join(root, top)))
      .flatMap((top) => readdirSync(join(root, top)).map((name) => join(root, top, name))),
  ].filter((folder) => existsSync(join(folder, 'package.json')));
  return folders.flatMap((folder) => {
    const file = join(folder, 'package.json');
    const { dependencies, devDependencies, optionalDependencies } = JSON.parse(readFileSync(file, 'utf8'));
    return Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
      .filter(([, version]) => !EXACT.test(version))
      .map(([name, version]) => `${relative(root, file)}: ${name}: expected an exact version, found "${version}"`);
  });
}

/**
 * What `npm audit` said, judged. @param {string} output its JSON
 * @returns {{ faults: string[], note?: string }}
 */
export function auditFaults(output) {
  let said;
  try {
    said = JSON.parse(output);
  } catch {
    return { faults: [], note: 'not checked: npm audit gave no answer' };
  }
  const found = said.vulnerabilities;
  if (found === undefined)
    return {
      faults: [],
      note: `not checked: the package registry gives no advisories${said.statusCode ? ` (${said.statusCode})` : ''}`,
    };
  return {
    faults: Object.values(found)
      .filter(({ severity }) => severity === 'high' || severity === 'critical')
      .map(({ name, severity, range }) => `${name} ${range}: a known ${severity} vulnerability; see npm audit`),
  };
}

/** Asks the package registry for advisories about what is shipped; short, and no failure where there is none. */
export async function askAudit(root) {
  const { output } = await capture('npm', ['audit', '--omit=dev', '--json', '--fetch-retries=0', '--fetch-timeout=10000'], {
    cwd: root,
    timeoutMs: 30_000,
  }).catch(() => ({ output: '' }));
  const begin = output.indexOf('{');
  return auditFaults(begin < 0 ? '' : output.slice(begin, output.lastIndexOf('}') + 1));
}
