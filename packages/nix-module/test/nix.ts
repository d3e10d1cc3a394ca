/** Nix itself, for tests: evaluates text and gives back what it is. Fetched as nix-check does where there is none. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Nix {
  readonly bin: string;
  readonly env: NodeJS.ProcessEnv;
}

export async function openNix(): Promise<{ evaluate(text: string): unknown; parses(text: string): boolean }> {
  const { findNix } = (await import(new URL('../../../scripts/nix-tools.mjs', import.meta.url).href)) as {
    findNix(): Promise<Nix>;
  };
  const { bin, env } = await findNix();
  const run = (args: readonly string[], text: string) => {
    const folder = mkdtempSync(join(tmpdir(), 'cim-nix-'));
    try {
      const file = join(folder, 'value.nix');
      writeFileSync(file, text);
      return spawnSync(join(bin, 'nix-instantiate'), [...args, file], {
        env,
        encoding: 'utf8',
        timeout: 60_000,
        maxBuffer: 2 ** 26,
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  return {
    evaluate(text) {
      const { status, stdout, stderr } = run(['--eval', '--strict', '--json'], text);
      if (status !== 0) throw new Error(`nix refuses it: ${stderr}\n${text}`);
      return JSON.parse(stdout);
    },
    parses: (text) => run(['--parse'], text).status === 0,
  };
}
