/** `npm run bench`: sets up, then becomes the bench. All arguments are the bench's. */
import { join } from 'node:path';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

await after({}, ({ node, env }) => become(node, [join(ROOT, 'bench/main.ts'), ...process.argv.slice(2)], { env, cwd: ROOT }));
