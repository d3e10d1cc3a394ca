/**
 * Where things lie in a checkout. Plain Node 20 and no dependency: this is read before anything is installed.
 */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top of the checkout: absolute, without a slash at its end. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What the set-up makes and git ignores: the lock, the build stamp, fetched programs. */
export const CACHE = join(ROOT, '.cim');

/** The Node this project stands on. isolated-vm's prebuilt binary is made for this major alone. */
export const NODE_MAJOR = 24;
