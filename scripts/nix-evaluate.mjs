/**
 * Evaluation for nix-check: an expression in, JSON out, with the harness of nix/offline as `o`.
 */
import { join } from 'node:path';
import { capture } from './place/child.mjs';
import { ROOT } from './place/root.mjs';

export const EVALUATE_MS = 60_000;
const HARNESS = join(ROOT, 'nix/offline');

/** Thrown by a check that cannot run here; its message is the reason. */
export class Skipped extends Error {
  name = 'Skipped';
}

/** Runs one of nix' programs. @returns {Promise<{ code: number, output: string }>} */
export async function nix(context, program, args) {
  const { code, output } = await capture(join(context.nix.bin, program), args, {
    env: context.nix.env,
    timeoutMs: EVALUATE_MS,
  });
  return { code, output: output.replace(/^warning: .*\n/gm, '') };
}

/** Evaluates an expression in which `o` is the harness. @returns {Promise<any>} */
export async function evaluate(context, expression, lib) {
  const open = lib ? `import ${HARNESS} { libPath = ${lib}; }` : `import ${HARNESS} { }`;
  const { code, output } = await nix(context, 'nix-instantiate', [
    '--eval',
    '--json',
    '--strict',
    '-E',
    `let o = ${open}; in ${expression}`,
  ]);
  if (code !== 0) throw new Error(output.trim());
  // A file that a machine refers to lands in this harness's own store, which is nobody's business.
  const store = context.nix.env.NIX_STORE_DIR.replaceAll(/[.\\/]/g, '\\$&');
  return JSON.parse(output.trim().replaceAll(new RegExp(`${store}/[a-z0-9]{32}-`, 'g'), '/nix/store/'));
}

/** The rendered machines by name. @throws Error when they did not evaluate */
export function evaluated(context) {
  const all = context.shared.get('machines');
  if (all === undefined) throw new Error('the machines did not evaluate');
  return all;
}
