/** `npm run docs`: writes the pages that are made from tables; with `--check` it only says which are stale, and fails. */
import { join } from 'node:path';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

await after({ natsServer: false }, ({ node }) =>
  become(node, [join(ROOT, 'scripts/docs/render.mjs'), ...process.argv.slice(2)]),
);
