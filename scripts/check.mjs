/** `npm run check`: everything that can be known without running the product. Steps: scripts/check/main.mjs. */
import { join } from 'node:path';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

await after({ build: false, natsServer: false }, ({ node }) =>
  become(node, [join(ROOT, 'scripts/check/main.mjs'), ...process.argv.slice(2)]),
);
