/** `npm test`: sets up, then becomes vitest over all tests. Arguments are vitest's: `npm test -- packages/contracts`. */
import { join } from 'node:path';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

await after({}, ({ node, env }) =>
  become(node, [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...process.argv.slice(2)], { env, cwd: ROOT }),
);
