/**
 * Packages that only one command needs, in a folder of their own with its own lock file: installed when that command asks for them.
 *
 * Promises:
 * B1. What is fresh is not touched: the stamp in the folder's node_modules holds the hash of its lock file.
 * B2. The lock file is never written, and no install script of any package runs.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { must } from './child.mjs';
import { FLAGS, npm } from './packages.mjs';
import { ROOT } from './root.mjs';

const INSTALL_MS = 15 * 60_000;

/**
 * Makes `folder`/node_modules what `folder`/package-lock.json says.
 * @param {string} folder absolute
 * @param {(line: string) => void} [tell] told before it takes long
 * @throws SetupError
 */
export async function installBeside(folder, tell = () => {}) {
  const stamp = join(folder, 'node_modules', '.cim-stamp');
  const wanted = createHash('sha256')
    .update(readFileSync(join(folder, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  rmSync(stamp, { force: true });
  const name = relative(ROOT, folder);
  tell(`installing the packages of ${name}`);
  const [command, ...args] = npm();
  await must(`npm install in ${name}`, command, [...args, 'install', ...FLAGS], {
    cwd: folder,
    timeoutMs: INSTALL_MS,
    onStart: () => {},
    advice: 'Is the package registry within reach? `npm ping` tells; then try again.',
  });
  writeFileSync(stamp, wanted);
}
