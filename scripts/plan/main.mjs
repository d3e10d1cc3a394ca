/**
 * Checks the plan: every import against the arrows, every file against the words. Prints each broken rule with its reason and
 * the arrows that break it; when all hold, one line. `--root DIR` looks at another tree (the tests plant violations in one);
 * `--rules` only prints the rules.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { cruise } from 'dependency-cruiser';
import { ROOT } from '../place/root.mjs';
import { arrows, built, door, words } from './rules.mjs';
import { findWords } from './words.mjs';

const { values } = parseArgs({ options: { root: { type: 'string' }, rules: { type: 'boolean' } } });
const root = values.root ?? ROOT;
if (values.rules) {
  const all = [...arrows.map(({ name, comment }) => ({ name, reason: comment })), ...words, built, door];
  process.stdout.write(all.map(({ name, reason }) => `${name}: ${reason}\n`).join(''));
  process.exit(0);
}

const folders = [
  ...sourceFolders('packages', 'src'),
  ...sourceFolders('packages', 'test'),
  ...sourceFolders('examples', 'src'),
  'bench',
  'test',
].filter((folder) => existsSync(join(root, folder)));
const { output } = await cruise(folders, {
  baseDir: root,
  ruleSet: { forbidden: arrows.map((rule) => ({ ...rule, severity: 'error' })) },
  validate: true,
  tsPreCompilationDeps: true,
  combinedDependencies: true,
  doNotFollow: { path: '(^|/)(node_modules|dist)/' },
  enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
});
if (typeof output === 'string') throw new Error('dependency-cruiser gave text where its result was expected');

/** Rule name to its reason and the lines that break it. @type {Map<string, { reason: string, lines: Set<string> }>} */
const broken = new Map();
const add = (rule, reason, line) => {
  const entry = broken.get(rule) ?? { reason, lines: new Set() };
  entry.lines.add(line);
  broken.set(rule, entry);
};

for (const { rule, from, to, cycle } of output.summary.violations) {
  const reason = arrows.find(({ name }) => name === rule.name)?.comment ?? '';
  // A circle is found once from each of its files; told from its first file in the alphabet it is one line.
  add(rule.name, reason, cycle === undefined ? `${from} -> ${to}` : ring(cycle.map((step) => step.name)));
}

const sources = folders.flatMap((folder) => walk(join(root, folder)));
for (const path of sources) {
  const file = relative(root, path).split(sep).join('/');
  for (const { rule, reason, line, what } of findWords(file, readFileSync(path, 'utf8')))
    add(rule, reason, `${file}:${line}  ${what}`);
}

for (const [rule, { reason, lines }] of broken) {
  process.stdout.write(`${rule}: ${reason}\n${[...lines].map((line) => `  ${line}\n`).join('')}`);
}
const { modules } = output;
const count = modules.filter(({ source }) => !/(^|\/)(node_modules|dist)\//.test(source) && /\.[mc]?ts$/.test(source)).length;
const arrowCount = modules.reduce((sum, { dependencies }) => sum + dependencies.length, 0);
if (broken.size === 0) process.stdout.write(`the plan holds: ${count} modules, ${arrowCount} arrows\n`);
else process.stdout.write(`the plan is broken: ${broken.size} ${broken.size === 1 ? 'rule' : 'rules'}\n`);
process.exitCode = broken.size === 0 ? 0 : 1;

/** @param {readonly string[]} names the files of a circle, each importing the next @returns {string} */
function ring(names) {
  const first = names.indexOf([...names].sort()[0] ?? '');
  const turned = [...names.slice(first), ...names.slice(0, first)];
  return [...turned, turned[0]].join(' -> ');
}

/** `packages/*` with a folder inside, e.g. `packages/contracts/src`. */
function sourceFolders(top, inner) {
  if (!existsSync(join(root, top))) return [];
  return readdirSync(join(root, top))
    .sort()
    .map((name) => `${top}/${name}/${inner}`)
    .filter((folder) => existsSync(join(root, folder)));
}

/** @param {string} folder @returns {string[]} */
function walk(folder) {
  return (
    readdirSync(folder, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile() && /\.[mc]?tsx?$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      // A set of packages installed beside the project's own (scripts/place/beside.mjs) is nobody's source here.
      .filter((path) => !/[\\/]node_modules[\\/]/.test(path))
      .sort()
  );
}
