/**
 * `npm start`: sets up, then becomes the embedded fleet. All arguments are the fleet's: `--once`, `--keep --ready-file F`, `--state DIR`,
 * `--nats-server PATH`.
 */
import { join } from 'node:path';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';

await after({}, ({ node, env }) =>
  become(node, [join(ROOT, 'packages/fleet/dist/main.js'), ...process.argv.slice(2)], { env }),
);
