/**
 * Finds the Node this project runs on. Any Node from 20 up may start a script; the work itself is done by this one, since
 * isolated-vm's binary is made for one major version.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { capture } from './child.mjs';
import { SetupError } from './progress.mjs';
import { NODE_MAJOR, ROOT } from './root.mjs';

/**
 * The running Node when it is right, else the one npm installed with the project, else one on PATH.
 * @returns {Promise<string>} absolute path of the binary
 * @throws SetupError with what to install
 */
export async function findNode() {
  if (majorOf(process.version) === NODE_MAJOR) return process.execPath;
  const tried = [];
  for (const candidate of candidates()) {
    if (!existsSync(candidate)) continue;
    const { code, output } = await capture(candidate, ['--version'], { timeoutMs: 10_000 });
    if (code === 0 && majorOf(output) === NODE_MAJOR) return candidate;
    tried.push(`${candidate}: ${code === 0 ? output.trim() : 'does not run here'}`);
  }
  throw new SetupError(
    `Node ${NODE_MAJOR} was not found: this is ${process.version}${tried.map((line) => `; ${line}`).join('')}`,
    `Put a node ${NODE_MAJOR} on PATH and try again (NixOS: nodejs_${NODE_MAJOR}). On Linux with x64 or arm64 and glibc, ` +
      '`npm ci --include=optional` brings one along.',
  );
}

function* candidates() {
  yield join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  for (const folder of (process.env.PATH ?? '').split(delimiter)) if (folder !== '') yield join(folder, 'node');
}

/** @param {string} version e.g. `v24.1.0` @returns {number} */
function majorOf(version) {
  return Number(/^v(\d+)\./.exec(version)?.[1] ?? Number.NaN);
}
