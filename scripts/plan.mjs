/** `npm run plan`: checks the plan of the house, that is, which room may know which. Rules and reasons: scripts/plan/rules.mjs. */
import { join } from 'node:path';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

await after({ build: false, natsServer: false }, ({ node }) =>
  become(node, [join(ROOT, 'scripts/plan/main.mjs'), ...process.argv.slice(2)]),
);
