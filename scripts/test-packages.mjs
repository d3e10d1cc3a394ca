/** `npm run test:packages`: sets up, installs the packages of test/packages when they are not there, and becomes their test. */
import { join } from 'node:path';
import { installBeside } from './place/beside.mjs';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

const FOLDER = join(ROOT, 'test/packages');

await after({ natsServer: false }, async ({ node, env }) => {
  await installBeside(FOLDER);
  return become(node, [join(FOLDER, 'run.ts'), ...process.argv.slice(2)], { env, cwd: ROOT });
});
