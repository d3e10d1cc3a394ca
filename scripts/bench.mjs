/** `npm run bench`: sets up, then becomes the bench. All arguments are the bench's; the peers' packages come when it measures them. */
import { join } from 'node:path';
import { installBeside } from './place/beside.mjs';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

const args = process.argv.slice(2);

await after({}, async ({ node, env }) => {
  if (!args.includes('--only') || args.includes('peers'))
    await installBeside(join(ROOT, 'bench/peers'), (line) => process.stderr.write(`bench: ${line}\n`));
  return become(node, [join(ROOT, 'bench/main.ts'), ...args], { env, cwd: ROOT });
});
