/**
 * Sources to one ES module with esbuild.
 *
 * Promises:
 * C1. The output depends on the sources and their places relative to the project, not on where the project stands.
 * C2. `@cim/alchemist/agent` is ours and always found: a project needs no install of it.
 * C3. What the isolate does not have (Node's built-in modules) is refused with the chain of imports that leads to it.
 */
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { relative } from 'node:path';
import { bundleLimits, ENTRY_FILE, Fault, type FieldIssue } from '@cim/contracts';
import type { BuildFailure, Metafile, Plugin } from 'esbuild';
import type { Project } from './project.ts';

export interface Built {
  readonly entry: string;
  readonly sourceMap: string;
  readonly warnings: readonly string[];
}

/** What guest code finds around itself, for the sentence in errors. */
export const ISOLATE_OFFERS =
  'the language itself, console, setTimeout, setInterval, queueMicrotask, TextEncoder, TextDecoder, URL, atob, btoa, ' +
  'structuredClone and crypto.randomUUID; everything else goes through ctx (log, kv, call, publish, emit, secrets, assets)';

const DOOR = '@cim/alchemist/agent';

/** @throws Fault `invalid-input` with one issue per place in the sources */
export async function compile(project: Project): Promise<Built> {
  const esbuild = await import('esbuild');
  const door: Plugin = {
    name: 'cim-door',
    setup(build) {
      build.onResolve({ filter: /^@cim\/alchemist(?:\/|$)/ }, ({ path }) =>
        path === DOOR
          ? { path: 'agent', namespace: 'cim', sideEffects: false }
          : { errors: [{ text: `"${path}" is for operators; a workload imports "${DOOR}"` }] },
      );
      build.onLoad({ filter: /.*/, namespace: 'cim' }, async () => ({ contents: await doorSource(esbuild), loader: 'js' }));
    },
  };
  const builtins: Plugin = {
    name: 'cim-builtins',
    setup(build) {
      build.onResolve({ filter: /.*/ }, ({ path, kind }) => {
        // `require` stays with esbuild: inside try/catch it is a question, and a guest may ask.
        if (!isBuiltin(path) || kind === 'require-call' || kind === 'require-resolve') return undefined;
        return { path, external: true, sideEffects: false };
      });
    },
  };
  try {
    const result = await esbuild.build({
      absWorkingDir: project.root,
      entryPoints: [relative(project.root, project.entry)],
      outfile: ENTRY_FILE,
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      platform: 'neutral',
      target: 'es2024',
      mainFields: ['module', 'main'],
      conditions: ['module'],
      charset: 'utf8',
      sourcemap: 'external',
      sourcesContent: true,
      define: { 'process.env.NODE_ENV': '"production"' },
      logLevel: 'silent',
      plugins: [door, builtins],
    });
    const outside = Object.values(result.metafile.outputs)
      .flatMap(({ imports }) => imports)
      .filter(({ external }) => external);
    if (outside.length > 0) throw refused(project, result.metafile, [...new Set(outside.map(({ path }) => path))].sort());
    const text = (name: string) => result.outputFiles.find(({ path }) => path.endsWith(name))?.text ?? '';
    const entry = text(`/${ENTRY_FILE}`);
    const size = Buffer.byteLength(entry);
    if (size > bundleLimits.entryBytes) {
      throw new Fault(
        'too-large',
        `the entry is ${size} bytes, allowed are ${bundleLimits.entryBytes}; move data into assets/`,
      );
    }
    return {
      entry,
      sourceMap: text(`/${ENTRY_FILE}.map`),
      warnings: result.warnings.map(({ text: message, location }) =>
        location ? `${location.file}:${location.line}:${location.column + 1}: ${message}` : message,
      ),
    };
  } catch (error) {
    throw error instanceof Fault ? error : buildFault(project, error);
  }
}

/** Our door as plain JavaScript: the same text whether this package runs from its sources or built. */
async function doorSource(esbuild: typeof import('esbuild')): Promise<string> {
  const running = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const source = await readFile(new URL(`../agent.${running}`, import.meta.url), 'utf8');
  const withoutMap = source.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
  return (await esbuild.transform(withoutMap, { loader: running, target: 'es2024', charset: 'utf8' })).code;
}

function refused(project: Project, metafile: Metafile, modules: readonly string[]): Fault {
  const issues = modules.map((module): FieldIssue => {
    const chain = chainTo(metafile, relative(project.root, project.entry).replaceAll('\\', '/'), module);
    return { path: chain.at(-2) ?? '(whole)', message: `${module} is not in the isolate: ${chain.join(' -> ')}` };
  });
  const listed = issues.map(({ message }) => message).join('; ');
  return new Fault('invalid-input', `${listed}. The isolate offers ${ISOLATE_OFFERS}.`, { issues });
}

/** The shortest way from the entry to an import, both ends included. */
function chainTo(metafile: Metafile, entry: string, target: string): string[] {
  const before = new Map<string, string>([[entry, '']]);
  const queue = [entry];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    for (const { path, external } of metafile.inputs[at]?.imports ?? []) {
      if (before.has(path)) continue;
      before.set(path, at);
      if (external && path === target) {
        const chain = [path];
        for (let step = before.get(path)!; step !== ''; step = before.get(step)!) chain.unshift(step);
        return chain;
      }
      if (!external) queue.push(path);
    }
  }
  return [target];
}

function buildFault(project: Project, error: unknown): Fault {
  const { errors } = error as Partial<BuildFailure>;
  if (!errors) return new Fault('internal', `esbuild did not run: ${(error as Error).message}`, { cause: error });
  const issues = errors.map(({ text, location, notes }): FieldIssue => {
    const module = /^Could not resolve "([^"]+)"/.exec(text)?.[1];
    const more = notes.map((note) => note.text).join(' ');
    const message =
      module !== undefined && isBuiltin(module)
        ? `${module} is not in the isolate, which offers ${ISOLATE_OFFERS}`
        : module !== undefined && !module.startsWith('.')
          ? `${text}: install it in the project (npm install ${module})`
          : more === ''
            ? text
            : `${text} (${more})`;
    return { path: location ? `${location.file}:${location.line}:${location.column + 1}` : '(whole)', message };
  });
  const shown = issues.slice(0, 5).map(({ path, message }) => `${path}: ${message}`);
  return new Fault('invalid-input', `${project.root} does not build: ${shown.join('; ')}`, { issues, cause: error });
}
