/** `alchemist bundle`: builds a project into a file, signed where a publisher key is set. */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { bytes } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

interface Flags extends CommonFlags {
  readonly out?: string;
  readonly sign: boolean;
  readonly sbom?: string;
  readonly sourceMap: boolean;
}

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'bundle [dir]', {
    summary: 'build a project into a bundle file',
    description: `Builds a project (folder or entry file, default: here) into one file and, where a publisher key is set, its signature
beside it (<file>.sig) with where it was built from (<file>.provenance). The same sources give the same digest, wherever and whenever they are built.`,
    examples: ['bundle', 'bundle ./invoice-processor -o invoice.cim'],
  })
    .option('-o, --out <file>', 'where to write (default: <name>-<version>.cim)')
    .option('--no-sign', 'do not sign')
    .option('--sbom <file>', 'write the bill of materials (CycloneDX JSON) there too')
    .option('--no-source-map', 'leave the source map out');
  commonFlags(command).action((dir: string | undefined, flags: Flags) =>
    perform(stage, flags, async ({ render, alchemist, io }) => {
      const cim = await alchemist();
      const built = await cim.bundle(dir ?? '.', { sourceMap: flags.sourceMap });
      for (const warning of built.warnings) render.warning(warning);
      const { name, version, kind, capabilities } = built.manifest;
      const file = resolve(io.cwd, flags.out ?? `${name}-${version}.cim`);
      const signed = flags.sign && cim.profile.publisherSeedFile !== undefined ? cim.sign(built) : undefined;
      await writeFile(file, built.bytes);
      if (signed) {
        await writeFile(`${file}.sig`, `${JSON.stringify(signed.envelope)}\n`);
        if (signed.attestation) await writeFile(`${file}.provenance`, `${JSON.stringify(signed.attestation)}\n`);
        if (flags.sbom !== undefined && signed.attestation)
          await writeFile(resolve(io.cwd, flags.sbom), `${JSON.stringify(signed.attestation.sbom, null, 2)}\n`);
      } else if (flags.sign) render.warning('not signed: no publisher key is set (alchemist keys new publisher)');
      const facts = { name, version, kind, digest: built.digest, size: built.size, file, signed: signed !== undefined };
      render.answer({ ...facts, capabilities: Object.keys(capabilities) }, () =>
        [
          `${render.paint(`${name}@${version}`, 'strong')}  ${kind}, ${bytes(built.size)}${signed ? ', signed' : ''}`,
          `digest        ${built.digest}`,
          `capabilities  ${Object.keys(capabilities).join(', ') || '-'}`,
          `file          ${file}`,
        ].join('\n'),
      );
      return undefined;
    }),
  );
}
