/**
 * Checks on files that need no tool: the lock file, the length of sources, the licence. Each returns what is wrong, one line each.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** A source longer than this is two sources. */
const MOST_LINES = 400;
const LICENCE = 'Apache-2.0';

/**
 * The lock file names bytes, never the place they came from: every package has its integrity, none an address.
 * @param {string} text package-lock.json
 * @returns {string[]}
 */
export function lockFaults(text) {
  const faults = [];
  for (const [path, entry] of Object.entries(JSON.parse(text).packages)) {
    const ours = !path.includes('node_modules/');
    if (ours || entry.link === true) continue;
    if (entry.integrity === undefined) faults.push(`package-lock.json: ${path} has no integrity`);
    const { resolved, funding, deprecated, ...rest } = entry;
    const address = /[a-z+]+:\/\/[^"]*/.exec(JSON.stringify(rest))?.[0];
    if (address !== undefined) faults.push(`package-lock.json: ${path} names the address ${address}; expected a version`);
    if (resolved !== undefined)
      faults.push(
        `package-lock.json: ${path} has a "resolved" address; .npmrc has omit-lockfile-registry-resolved=true: install again`,
      );
  }
  return faults;
}

/** @param {string} root the checkout @returns {string[]} */
export function lengthFaults(root) {
  return packageFolders(root)
    .flatMap((folder) => walk(join(folder, 'src')))
    .map((path) => ({ path, lines: readFileSync(path, 'utf8').trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > MOST_LINES)
    .map(
      ({ path, lines }) =>
        `${relative(root, path)}: ${lines} lines, expected at most ${MOST_LINES}: it holds two things; part them`,
    );
}

/** @param {string} root the checkout @returns {string[]} */
export function licenceFaults(root) {
  const faults = [];
  const path = join(root, 'LICENSE');
  if (!existsSync(path)) faults.push('LICENSE: expected the text of the Apache License 2.0, found no file');
  else if (!/Apache License\s+Version 2\.0/.test(readFileSync(path, 'utf8')))
    faults.push('LICENSE: expected the text of the Apache License 2.0');
  for (const folder of [root, ...packageFolders(root)]) {
    const { license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    if (license !== LICENCE)
      faults.push(`${relative(root, join(folder, 'package.json'))}: license: expected ${LICENCE}, found ${license}`);
  }
  return faults;
}

function packageFolders(root) {
  return ['packages', 'examples']
    .filter((top) => existsSync(join(root, top)))
    .flatMap((top) =>
      readdirSync(join(root, top))
        .sort()
        .map((name) => join(root, top, name)),
    )
    .filter((folder) => existsSync(join(folder, 'package.json')));
}

function walk(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.[mc]?[tj]sx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
