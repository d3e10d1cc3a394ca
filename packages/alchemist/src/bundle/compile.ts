/**
 * Sources to one ES module with esbuild.
 *
 * Promises:
 * C1. The output depends on the sources and their places relative to the project, not on where the project stands.
 * C2. `@cim/alchemist/agent` is ours and always found: a project needs no install of it.
 * C3. What the isolate does not have (Node's built-in modules) is refused with the chain of imports that leads to it; but for those
 *     that npm has in plain JavaScript under the same name, where the project has installed that package.
 */
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { relative } from 'node:path';
import { bundleLimits, ENTRY_FILE, Fault, type FieldIssue } from '@cim/contracts';
import type { BuildFailure, ImportKind, Location, Message, Metafile, Plugin } from 'esbuild';
import type { Project } from './project.ts';

export interface Built {
  readonly entry: string;
  readonly sourceMap: string;
  readonly warnings: readonly string[];
  /** What esbuild took, and from where. */
  readonly metafile: Metafile;
}

/** What guest code finds around itself, for the sentence in errors. */
const ISOLATE_OFFERS =
  'the language itself, console, timers and the web platform (docs/platform.md: URL, fetch within grants.http, streams, crypto and more); ' +
  'everything else goes through ctx (log, kv, call, publish, emit, secrets, assets)';

/** Built-in modules that a package of the same name on npm stands in for, when the project has it. */
const FROM_NPM = new Set(['assert', 'buffer', 'events', 'punycode', 'string_decoder', 'url', 'util']);
/** Marks a question of the plugin's own, which it must not answer itself. */
const ASKED = Symbol('asked');
const nameOfBuiltin = (path: string): string => path.replace(/^node:/, '');

const DOOR = '@cim/alchemist/agent';

/** @throws Fault `invalid-input` with one issue per place in the sources */
export async function compile(project: Project): Promise<Built> {
  try {
    const result = await run(project, (kind) => kind !== 'require-call');
    const outside = externals(result.metafile);
    if (outside.length > 0) throw refused(project, result.metafile, outside);
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
      metafile: result.metafile,
      sourceMap: text(`/${ENTRY_FILE}.map`),
      warnings: result.warnings.map(({ text: message, location }) => (location ? `${placeOf(location)}: ${message}` : message)),
    };
  } catch (error) {
    if (error instanceof Fault) throw error;
    const { errors } = error as Partial<BuildFailure>;
    if (!errors) throw new Fault('internal', `esbuild did not run: ${(error as Error).message}`, { cause: error });
    const required = errors.map(({ text }) => unresolved(text)).filter((name) => name !== undefined && isBuiltin(name));
    if (required.length === 0) throw buildFault(project, errors);
    // The failed build has no graph to read the chain from: build once more with the built-in modules left outside.
    const graph = await run(project, () => true).catch(() => undefined);
    throw graph ? refused(project, graph.metafile, [...new Set(required as string[])].sort()) : buildFault(project, errors);
  }
}

/** @param leaveOutside whether a built-in module met this way is left to be refused by name, or to fail where it stands */
async function run(project: Project, leaveOutside: (kind: ImportKind) => boolean) {
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
      // `require` inside try/catch is a question, and a guest may ask: esbuild knows the difference when it fails by itself.
      build.onResolve({ filter: /.*/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
        if (!isBuiltin(path) || pluginData === ASKED) return undefined;
        // A package may say in its field "browser" what it does without the module: another file, or nothing.
        const own = await build.resolve(path, { kind, importer, resolveDir, pluginData: ASKED });
        if (own.errors.length === 0)
          return own.path === path ? { path, namespace: 'cim-nothing' } : { path: own.path, namespace: own.namespace };
        const name = nameOfBuiltin(path);
        if (FROM_NPM.has(name)) {
          // The slash means the package, never the built-in module.
          const found = await build.resolve(`${name}/`, { kind, importer, resolveDir });
          if (found.errors.length === 0) return { path: found.path, namespace: found.namespace };
        }
        return leaveOutside(kind) ? { path, external: true, sideEffects: false } : undefined;
      });
      build.onLoad({ filter: /.*/, namespace: 'cim-nothing' }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
    },
  };
  return esbuild.build({
    absWorkingDir: project.root,
    entryPoints: [relative(project.root, project.entry)],
    outfile: ENTRY_FILE,
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2024',
    // What a package has for the web fits better than what it has for Node: the isolate is the web platform without a page.
    mainFields: ['browser', 'module', 'main'],
    conditions: ['worker', 'browser', 'module'],
    charset: 'utf8',
    sourcemap: 'external',
    sourcesContent: true,
    define: { 'process.env.NODE_ENV': '"production"' },
    logLevel: 'silent',
    plugins: [door, builtins],
  });
}

const externals = ({ outputs }: Metafile): string[] => [
  ...new Set(
    Object.values(outputs)
      .flatMap(({ imports }) => imports)
      // A require that esbuild let pass stands inside try/catch.
      .filter(({ external, kind }) => external === true && kind !== 'require-call')
      .map(({ path }) => path),
  ),
];

const unresolved = (text: string): string | undefined => /^Could not resolve "([^"]+)"/.exec(text)?.[1];
const placeOf = ({ file, line, column }: Location): string => `${file}:${line}:${column + 1}`;

/** Our door as plain JavaScript: the same text whether this package runs from its sources or built. */
async function doorSource(esbuild: typeof import('esbuild')): Promise<string> {
  const running = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const source = await readFile(new URL(`../agent.${running}`, import.meta.url), 'utf8');
  const withoutMap = source.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
  return (await esbuild.transform(withoutMap, { loader: running, target: 'es2024', charset: 'utf8', minifyWhitespace: true }))
    .code;
}

function refused(project: Project, metafile: Metafile, modules: readonly string[]): Fault {
  const issues = modules.map((module): FieldIssue => {
    const chain = chainTo(metafile, relative(project.root, project.entry).replaceAll('\\', '/'), module);
    const name = nameOfBuiltin(module);
    const mend = FROM_NPM.has(name) ? ` (npm install ${name} brings it in plain JavaScript)` : '';
    return { path: chain.at(-2) ?? '(whole)', message: `${module} is not in the isolate${mend}: ${chain.join(' -> ')}` };
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

function buildFault(project: Project, errors: readonly Message[]): Fault {
  const issues = errors.map(({ text, location, notes }): FieldIssue => {
    const module = unresolved(text);
    const more = notes.map((note) => note.text).join(' ');
    const message =
      module !== undefined && /^[@a-z]/i.test(module)
        ? `${text}: install it in the project (npm install ${module.split('/', module.startsWith('@') ? 2 : 1).join('/')})`
        : more === ''
          ? text
          : `${text} (${more})`;
    return { path: location ? placeOf(location) : '(whole)', message };
  });
  const shown = issues.slice(0, 5).map(({ path, message }) => `${path}: ${message}`);
  return new Fault('invalid-input', `${project.root} does not build: ${shown.join('; ')}`, { issues });
}
