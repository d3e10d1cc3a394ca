/**
 * What stands on disk: the project's root, its entry file, the defaults in its package.json, its assets.
 *
 * Promises:
 * J1. A path is a folder or an entry file; where the entry is looked for is named when there is none.
 * J2. Assets are plain files below `assets/`; hidden ones are left out, links are refused.
 */
import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { bundleLimits, Fault } from '@cim/contracts';

export interface Project {
  /** Absolute path of the folder that holds package.json (or the entry, where there is none). */
  readonly root: string;
  /** Absolute path of the entry file. */
  readonly entry: string;
  readonly defaults: { readonly name?: string; readonly version?: string; readonly description?: string };
  readonly assets: ReadonlyMap<string, Uint8Array>;
}

const ENTRIES = [
  'src/main.ts',
  'src/main.js',
  'src/main.mjs',
  'src/index.ts',
  'src/index.js',
  'main.ts',
  'main.js',
  'main.mjs',
];
const ENTRY_NAME = /\.(?:ts|mts|js|mjs)$/;

interface PackageJson {
  readonly name?: unknown;
  readonly version?: unknown;
  readonly description?: unknown;
  readonly main?: unknown;
}

/** @throws Fault `invalid-input` when there is no project at the path */
export async function openProject(cwd: string, path: string): Promise<Project> {
  const target = resolve(cwd, path);
  const kind = await stat(target).catch(() => undefined);
  if (!kind) throw noProject(path, 'expected a project folder or an entry file, found nothing there');
  const root = kind.isDirectory() ? target : await rootOf(dirname(target));
  const packageJson = await readPackageJson(root);
  const entry = kind.isDirectory() ? await entryOf(root, path, packageJson) : target;
  if (!ENTRY_NAME.test(entry))
    throw noProject(path, `expected an entry file ending in .ts, .mts, .js or .mjs, found ${basename(entry)}`);
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  // "@acme/doc-processor": the scope says who publishes, and that is the key's affair here.
  const name = text(packageJson?.name)?.replace(/^@[^/]*\//, '');
  const version = text(packageJson?.version);
  const description = text(packageJson?.description);
  return {
    root,
    entry,
    defaults: {
      ...(name === undefined ? {} : { name }),
      ...(version === undefined ? {} : { version }),
      ...(description === undefined ? {} : { description }),
    },
    assets: await readAssets(root),
  };
}

async function rootOf(directory: string): Promise<string> {
  for (let at = directory; ; at = dirname(at)) {
    if (await isFile(join(at, 'package.json'))) return at;
    if (dirname(at) === at) return directory;
  }
}

async function entryOf(root: string, path: string, packageJson: PackageJson | undefined): Promise<string> {
  const main = packageJson?.main;
  if (typeof main === 'string') {
    if (await isFile(join(root, main))) return join(root, main);
    throw noProject(path, `package.json "main": there is no file ${main}`);
  }
  for (const candidate of ENTRIES) if (await isFile(join(root, candidate))) return join(root, candidate);
  throw noProject(
    path,
    `no entry file: looked for "main" in package.json, then ${ENTRIES.join(', ')} (alchemist init writes one)`,
  );
}

async function readPackageJson(root: string): Promise<PackageJson | undefined> {
  const file = join(root, 'package.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as PackageJson;
    throw new Error('expected an object');
  } catch (cause) {
    throw new Fault('invalid-input', `${file}: not a package.json (${(cause as Error).message})`, { cause });
  }
}

async function readAssets(root: string): Promise<Map<string, Uint8Array>> {
  const base = join(root, 'assets');
  const assets = new Map<string, Uint8Array>();
  const kind = await lstat(base).catch(() => undefined);
  if (!kind?.isDirectory()) return assets;
  const visit = async (directory: string): Promise<void> => {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const full = join(directory, entry.name);
      const name = relative(base, full).split(sep).join('/');
      if (entry.isDirectory()) await visit(full);
      else if (entry.isFile()) assets.set(name, await readFile(full));
      else
        throw new Fault(
          'invalid-input',
          `assets/${name}: expected a plain file, found a link or device; copy the file instead`,
        );
      if (assets.size > bundleLimits.assets) {
        throw new Fault('invalid-input', `assets: expected at most ${bundleLimits.assets} files`);
      }
    }
  };
  await visit(base);
  return assets;
}

const isFile = async (path: string) => (await stat(path).catch(() => undefined))?.isFile() ?? false;

function noProject(path: string, message: string): Fault {
  return new Fault('invalid-input', `${path}: ${message}`, { issues: [{ path: 'path', message }] });
}
