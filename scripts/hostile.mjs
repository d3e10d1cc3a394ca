/** `npm run test:hostile`: sets up, then becomes the hostile suite. All arguments are the suite's. */
import { join } from 'node:path';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

await after({}, ({ node, env }) =>
  become(node, [join(ROOT, 'test/hostile/main.ts'), ...process.argv.slice(2)], { env, cwd: ROOT }),
);
