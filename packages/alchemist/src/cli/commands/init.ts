/** `alchemist init`: an agent project that works at once. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

interface Flags extends CommonFlags {
  readonly name?: string;
  readonly kind: 'agent' | 'service';
}

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'init [dir]', {
    summary: 'write a new project that works at once',
    description: `Writes a project (default: here) with one working capability, a test, a sample input and type declarations, so that it
bundles, publishes and edits without installing anything.`,
    examples: ['init word-counter', 'init . --name word-counter --kind service'],
  })
    .option('-n, --name <name>', 'name of the workload (default: that of the folder)')
    .addOption(new Option('-k, --kind <kind>', 'what it is').choices(['agent', 'service']).default('agent'));
  commonFlags(command).action((dir: string | undefined, flags: Flags) =>
    perform(stage, flags, async ({ io, render }) => {
      const [{ Fault, WorkloadName }, { capabilityOf, scaffold }] = await Promise.all([
        import('@cim/contracts'),
        import('../scaffold.ts'),
      ]);
      const root = resolve(io.cwd, dir ?? '.');
      const wanted = flags.name ?? nameFrom(basename(root));
      const name = WorkloadName.safeParse(wanted);
      if (!name.success) {
        const message = `${name.error.issues[0]!.message}, found ${JSON.stringify(wanted)}`;
        throw new Fault('invalid-input', `--name: ${message}`, { issues: [{ path: '--name', message }] });
      }
      const files = await scaffold(name.data, flags.kind);
      const there = new Set(await readdir(root).catch(() => []));
      const taken = [...new Set([...files.keys()].map((file) => file.split('/')[0]!))].filter((one) => there.has(one));
      if (taken.length > 0) {
        throw new Fault('conflict', `${root} has ${taken.join(', ')} already; nothing was written: choose an empty folder`);
      }
      for (const [file, text] of files) {
        await mkdir(dirname(join(root, file)), { recursive: true });
        await writeFile(join(root, file), text, { flag: 'wx' });
      }
      const place = relative(io.cwd, root);
      render.answer(
        { name: name.data, kind: flags.kind, capability: capabilityOf(name.data), directory: root, files: [...files.keys()] },
        () =>
          [
            `${render.paint('created', 'good')} ${name.data} in ${root}`,
            ...[...files.keys()].map((file) => `  ${file}`),
            '',
            'next:',
            ...(place === '' ? [] : [`  cd ${place}`]),
            '  node --test',
            '  alchemist deploy . --instance <id>',
            `  alchemist call ${capabilityOf(name.data)} @sample/input.json`,
          ].join('\n'),
      );
      return undefined;
    }),
  );
}

/** A folder's name as a workload's: lower case, everything else a dash. */
function nameFrom(folder: string): string {
  return folder
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63);
}
