/**
 * Where a build came from: its own sources, the packages that went in, the commit around them. Found from what esbuild really took
 * (its metafile), not from what package.json wishes.
 *
 * Promises:
 * O1. Nothing of it changes the bytes of the bundle; without git, or without a package's licence, that part is simply absent.
 * O2. Names no path outside the project and no time: the same sources at the same commit give the same origin.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type BuildFacts, canonicalBytes, type Dependency, digestOf } from '@cim/contracts';
import type { Metafile } from 'esbuild';
import type { Surroundings } from '../surroundings.ts';
import type { Project } from './project.ts';

/** Everything provenance says but what the bundle is. */
export type Origin = Omit<BuildFacts, 'bundle'>;

const GIT_MS = 5_000;
const run = promisify(execFile);

export async function originOf(project: Project, metafile: Metafile, around: Pick<Surroundings, 'env'>): Promise<Origin> {
  const inputs = Object.entries(metafile.inputs).filter(([path]) => !/^(?:[a-z-]+|\(disabled\)):/.test(path));
  const packages = new Map<string, Package>();
  for (const [path] of inputs) {
    const root = packageRoot(path);
    if (root !== undefined && !packages.has(root)) packages.set(root, await readPackage(join(project.root, root)));
  }
  const idAt = (path: string) => {
    const root = packageRoot(path);
    const found = root === undefined ? undefined : packages.get(root);
    return found && `${found.name}@${found.version}`;
  };
  const uses = new Map<string | undefined, Set<string>>();
  for (const [path, { imports }] of inputs) {
    const user = idAt(path);
    for (const { path: target, external } of imports) {
      const used = external ? undefined : idAt(target);
      if (used === undefined || used === user) continue;
      uses.set(user, (uses.get(user) ?? new Set()).add(used));
    }
  }
  const usesOf = (user: string | undefined) => [...(uses.get(user) ?? [])].sort();
  // The same package may lie in two places; it is one dependency.
  const dependencies = new Map<string, Dependency>();
  for (const { name, version, license } of packages.values()) {
    const id = `${name}@${version}`;
    dependencies.set(id, { name, version, ...(license === undefined ? {} : { license }), uses: usesOf(id) });
  }
  const own = inputs.map(([path]) => path).filter((path) => packageRoot(path) === undefined);
  const { version } = await import('esbuild');
  return {
    source: { digest: await sourceDigest(project, own), ...(await commitOf(project.root, around)) },
    builder: { version: await ownVersion(), tools: { esbuild: version } },
    dependencies: [...dependencies.values()].sort((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1)),
    uses: usesOf(undefined),
  };
}

/** Folder of the package a path lies in, relative to the project; undefined for the project's own files. */
function packageRoot(path: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path.replaceAll('\\', '/'))?.[0];
}

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license: string | undefined;
}

/** What a package says of itself; what it does not say is told by its folder. */
async function readPackage(directory: string): Promise<Package> {
  const folder = directory.slice(directory.lastIndexOf('node_modules') + 'node_modules/'.length).replaceAll('\\', '/');
  let said: Record<string, unknown> = {};
  try {
    said = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8')) as Record<string, unknown>;
  } catch {
    // Absent or broken: it is still a package that went in.
  }
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
  const old = said['license'] as { readonly type?: unknown } | undefined;
  const older = (said['licenses'] as readonly { readonly type?: unknown }[] | undefined)?.[0];
  return {
    name: text(said['name']) ?? folder,
    version: text(said['version']) ?? '0.0.0',
    license: text(said['license']) ?? text(old?.type) ?? text(older?.type),
  };
}

/** SHA-256 over the paths and contents of the project's own files that went in, assets included. */
async function sourceDigest({ root, assets }: Project, own: readonly string[]) {
  const files = await Promise.all(
    own.map(async (path) => [path.replaceAll('\\', '/'), digestOf(await readFile(resolve(root, path)))] as const),
  );
  const extra = [...assets].map(([path, bytes]) => [`assets/${path}`, digestOf(bytes)] as const);
  return digestOf(canonicalBytes([...files, ...extra].sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** Commit of the repository around a folder, and whether the folder is as committed. Nothing where there is no git. */
async function commitOf(root: string, { env }: Pick<Surroundings, 'env'>): Promise<{ commit?: string; dirty?: boolean }> {
  const git = async (...args: readonly string[]) =>
    (
      await run('git', ['-c', 'core.fsmonitor=false', '-C', root, ...args], {
        timeout: GIT_MS,
        maxBuffer: 16 * 2 ** 20,
        env: { PATH: env['PATH'] ?? '', HOME: env['HOME'] ?? '', GIT_OPTIONAL_LOCKS: '0' },
      })
    ).stdout.trim();
  try {
    const commit = await git('rev-parse', 'HEAD');
    if (!/^[0-9a-f]{40,64}$/.test(commit)) return {};
    return { commit, dirty: (await git('status', '--porcelain', '--', '.')) !== '' };
  } catch {
    return {};
  }
}

async function ownVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  return version;
}
