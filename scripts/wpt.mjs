/** `npm run test:wpt -- FOLDER [PART ...]`: sets up, then becomes the runner of the public web platform tests (test/platform/wpt.ts). */
import { join } from 'node:path';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

await after({ natsServer: false }, ({ node, env }) =>
  become(node, [join(ROOT, 'test/platform/wpt.ts'), ...process.argv.slice(2)], { env, cwd: ROOT }),
);
