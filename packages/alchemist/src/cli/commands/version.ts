/** `alchemist version`. */
import type { Command } from 'commander';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';
import { packageVersion } from '../version.ts';

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'version', { summary: 'show the version', examples: ['version --json'] });
  commonFlags(command).action((flags: CommonFlags) =>
    perform(stage, flags, async ({ render, io }) => {
      const alchemist = packageVersion();
      const { version: esbuild } = await import('esbuild');
      const node = io.nodeVersion;
      render.answer({ alchemist, node, esbuild }, () => `alchemist ${alchemist} (node ${node}, esbuild ${esbuild})`);
      return undefined;
    }),
  );
}
