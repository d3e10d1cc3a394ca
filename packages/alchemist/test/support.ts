/** What the tests of this package share: a folder that goes away, the command in this process, projects on disk. */
import { mkdtempSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';
import type { Io } from '../src/cli/io.ts';
import { run } from '../src/cli/program.ts';
import { type Surroundings, surroundings } from '../src/surroundings.ts';

/** One place for all folders of a test file, removed after its tests. */
const place = mkdtempSync(join(tmpdir(), 'cim-alchemist-'));
afterAll(() => rm(place, { recursive: true, force: true }));

/** A new empty folder. */
export const folder = (): Promise<string> => mkdtemp(join(place, 'f-'));

export async function write(root: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  return root;
}

/** Surroundings that know nothing of this machine's own settings. */
export function bare(root: string, env: Record<string, string> = {}): Surroundings {
  return { ...surroundings(), cwd: root, home: join(root, 'home'), env };
}

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process as if nobody watched. */
export async function cli(
  root: string,
  argv: readonly string[],
  options: {
    readonly env?: Record<string, string>;
    readonly stdin?: string;
    readonly signal?: AbortSignal;
    readonly onOut?: (text: string) => void;
  } = {},
): Promise<Ran> {
  let out = '';
  let err = '';
  const env = options.env ?? {};
  const io: Io = {
    out: (text) => {
      out += text;
      options.onOut?.(text);
    },
    err: (text) => {
      err += text;
    },
    outIsTty: false,
    errIsTty: false,
    columns: 100,
    stdin: async () => options.stdin ?? '',
    signal: options.signal ?? new AbortController().signal,
    around: async () => bare(root, env),
    env,
    cwd: root,
    nodeVersion: process.versions.node,
  };
  const code = await run(argv, io);
  return { code, out, err };
}

/** A project with one capability. */
export const hello = (extra = '', version = '1.0.0'): Record<string, string> => ({
  'package.json': JSON.stringify({
    name: '@acme/hello',
    version,
    description: 'Greets',
    type: 'module',
    main: './src/main.ts',
  }),
  'src/main.ts': `import { defineAgent } from '@cim/alchemist/agent';
import { greet } from './greet.ts';
export default defineAgent({
  ${extra}
  capabilities: { 'greeting.say': { description: 'Says it', input: { type: 'object' }, handle: ({ name }: { name: string }) => ({ text: greet(name) }) } },
});
`,
  'src/greet.ts': "export const greet = (name: string): string => 'Hello, ' + name + '!';\n",
});
