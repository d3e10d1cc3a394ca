/**
 * What a launcher does when it cannot simply go on: another Node than ours started it, or the checkout is not built yet.
 *
 * Promises:
 * W1. The program runs on Node 24, with our terminal, our signals and our exit code.
 * W2. The price of the wrong Node is its own start and nothing more: no version is asked of the Node that came with the project.
 * W3. An unbuilt checkout is set up first, and stderr says so; stdout is the program's alone.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { become } from './child.mjs';
import { findNode } from './node24.mjs';
import { fail, SetupError } from './progress.mjs';
import { ROOT } from './root.mjs';

/**
 * @param {string} launcher the launcher's own `import.meta.url`: it is started again on the right Node
 * @param {string} main the `import.meta.url` of what it will import
 */
export async function launch(launcher, main) {
  try {
    if (!existsSync(fileURLToPath(main))) await makeReady(fileURLToPath(main));
    process.exitCode = await onOurNode([fileURLToPath(launcher), ...process.argv.slice(2)]);
  } catch (error) {
    fail(error);
  }
}

async function makeReady(main) {
  process.stderr.write('setup: this checkout is not built yet; setting it up\n');
  const { setup } = await import('../setup.mjs');
  await setup({ natsServer: false });
  if (!existsSync(main)) throw new SetupError(`the build made no ${main}`);
}

async function onOurNode(args) {
  const own = join(ROOT, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  if (existsSync(own) && process.execPath !== own) {
    try {
      return await become(own, args);
    } catch {
      // It is there and does not run on this system (another libc): one on PATH may.
    }
  }
  return become(await findNode(), args);
}
