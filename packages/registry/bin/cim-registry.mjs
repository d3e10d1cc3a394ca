#!/usr/bin/env node
/**
 * The registry process. On Node 24 it goes straight on; in a checkout any Node from 20 up may start it, and a missing build is made.
 */
import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);
const launch = new URL('../../../scripts/place/launch.mjs', import.meta.url);

if (process.versions.node.startsWith('24.') && existsSync(main)) {
  await import(main.href);
} else if (existsSync(launch)) {
  await (await import(launch.href)).launch(import.meta.url, main.href);
} else {
  process.stderr.write(
    existsSync(main) ? `cim-registry needs Node 24; this is ${process.version}\n` : 'cim-registry: this package is not built\n',
  );
  process.exitCode = 1;
}
