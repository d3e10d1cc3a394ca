/**
 * The generated pages: docs/wire.md, docs/errors.md and docs/config.md as text, straight from the tables. `npm run docs` writes them,
 * and a test fails when one is stale.
 *
 * Promises:
 * G1. The same tables give the same text; every row of a table is on its page.
 */
export { renderConfigDoc } from './docs/config-page.ts';
export { renderErrorsDoc } from './docs/errors-page.ts';
export { renderWireDoc } from './docs/wire-page.ts';
