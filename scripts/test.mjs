/**
 * `npm test`: sets up, then becomes vitest over all tests. Arguments are vitest's: `npm test -- packages/contracts`.
 *
 * In CI a file with failures is run once more by itself, if there are no more than {@link FEW}: a walk whose fleet did not come up on a
 * machine that is shared cannot be tried again test by test. What passed only then is named; the closing line counts the last run of each.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { become } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { after } from './setup.mjs';
import { lineOf } from './tally.mjs';

const FEW = 3;
const args = process.argv.slice(2);

await after({}, async ({ node, env }) => {
  const vitest = (more, over = {}) =>
    become(node, [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', ...more], { env: { ...env, ...over }, cwd: ROOT });
  if (!process.env['CI']) return vitest(args);
  const folder = mkdtempSync(join(tmpdir(), 'cim-tally-'));
  const tally = join(folder, 'tally.json');
  try {
    const run = async (more) => {
      rmSync(tally, { force: true });
      const code = await vitest(more, { CIM_TALLY: tally });
      return { code, counts: existsSync(tally) ? JSON.parse(readFileSync(tally, 'utf8')) : undefined };
    };
    const first = await run(args);
    const files = Object.keys(first.counts ?? {}).filter((file) => first.counts[file].failed > 0);
    if (first.code !== 1 || files.length === 0 || files.length > FEW || files.includes('')) return first.code;
    process.stdout.write(`run again by themselves: ${files.join(', ')}\n`);
    const second = await run(files);
    if (second.counts === undefined) return second.code;
    for (const file of second.code === 0 ? files : []) process.stdout.write(`passed only when tried again: ${file}\n`);
    process.stdout.write(`${lineOf({ ...first.counts, ...second.counts })}\n`);
    return second.code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
