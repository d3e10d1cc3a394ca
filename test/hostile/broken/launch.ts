/** Builds a program to be started in the place of the cell's own, as one file in a folder that a cell may read. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export interface Program extends Disposable {
  /** To be given to the sandbox as `cellEntry`. */
  readonly entry: string;
}

export async function programOf(name: 'wire-cell' | 'reach-cell'): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), 'cim-broken-'));
  // Where cells run as users of their own, they must be able to read it.
  chmodSync(folder, 0o755);
  const entry = join(folder, 'cell', 'cell-main.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))],
    outfile: entry,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
  return { entry, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}
