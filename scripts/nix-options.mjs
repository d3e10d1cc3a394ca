/**
 * Checks of the options themselves: each is described, docs/options.md and packages/nix-module's options.json are what they say, and the two `settings` have the keys of the
 * configurations in packages/contracts, no more and no less.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { capture } from './place/child.mjs';
import { ROOT } from './place/root.mjs';

const NODE_MS = 30_000;
const DOCUMENT = join(ROOT, 'docs/options.md');
const DATA = join(ROOT, 'packages/nix-module/src/options.json');
const PERMISSIONS = join(ROOT, 'nix/modules/nats/permissions.json');
/** What CIM declares; the rest of the options are nixpkgs' own. */
const OURS =
  /^(?:cim\.|services\.nats\.(?:leafnode|authorization|tls|extraConfig)\b|security\.acme\.enable$|services\.fail2ban\.jails\..*\.maxretry$)/;

async function optionsOf(context, evaluate) {
  if (!context.shared.has('options')) {
    const list = await evaluate(context, '(o.list)');
    context.shared.set(
      'options',
      list.filter(({ name }) => OURS.test(name)),
    );
  }
  return context.shared.get('options');
}

export async function checkOptions(context, { evaluate }) {
  const options = await optionsOf(context, evaluate);
  const wrong = [];
  for (const { name, type, description, hasDefault, hasExample } of options) {
    if (!description) wrong.push(`${name}: no description`);
    else if (!/[.)]$/.test(description.trim())) wrong.push(`${name}: the description does not end with a full stop`);
    if (!hasExample) wrong.push(`${name}: no example`);
    if (type === 'unspecified') wrong.push(`${name}: no type`);
    if (!hasDefault && !/[*>]\.(?:\w+)$/.test(name)) wrong.push(`${name}: no default`);
  }
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  const text = document(options);
  const data = dataOf(options);
  for (const [file, wanted] of [
    [DOCUMENT, text],
    [DATA, data],
  ]) {
    if (context.update) writeFileSync(file, wanted);
    if (!existsSync(file) || readFileSync(file, 'utf8') !== wanted)
      throw new Error(`${relative(ROOT, file)} is out of date; node scripts/nix-check.mjs --update`);
  }
  return `${options.length} options`;
}

/** For packages/nix-module: names, types, and what must be set. */
function dataOf(options) {
  const rows = options.map(({ name, type, hasDefault }) => JSON.stringify({ name, type, required: !hasDefault }));
  return `[\n  ${rows.join(',\n  ')}\n]\n`;
}

function document(options) {
  const code = (value) => (typeof value === 'string' ? value : JSON.stringify(value));
  const shown = (value, literal) => {
    const text = (literal ? value : JSON.stringify(value)).trim();
    return text.includes('`') ? text : `\`${text.replaceAll('\n', ' ')}\``;
  };
  const entries = options.map(({ name, type, description, hasDefault, default: value, literal, example }) =>
    [
      `## ${name.replaceAll('<', '\\<')}`,
      '',
      description.trim().replaceAll(/\{(?:option|command)\}/g, ''),
      '',
      `- type: ${type.replaceAll('<', '\\<')}`,
      ...(hasDefault ? [`- default: ${shown(value, literal)}`] : ['- must be set']),
      `- example: ${shown(code(example), true)}`,
      '',
    ].join('\n'),
  );
  return `# Options\n\nWritten by \`node scripts/nix-check.mjs --update\` from nix/modules.\n\n${entries.join('\n')}`;
}

function sampleFile(context, samples) {
  const path = join(context.scratch, 'samples.json');
  writeFileSync(path, JSON.stringify(samples));
  return path;
}

export async function checkSchema(context, { evaluate, Skipped }) {
  if (!existsSync(join(ROOT, 'packages/nix-module/dist/index.js'))) throw new Skipped('packages are not built; npm run build');
  const node = join(ROOT, `node_modules/node-linux-${process.arch}/bin/node`);
  const program = existsSync(node) ? node : process.execPath;
  const names = JSON.stringify((await optionsOf(context, evaluate)).map(({ name }) => name));
  const { code, output } = await capture(program, [join(ROOT, 'scripts/nix-contracts.mjs'), names], {
    cwd: ROOT,
    timeoutMs: NODE_MS,
  });
  if (code !== 0) throw new Error(output.trim());
  const said = JSON.parse(output);
  const permissions = `${JSON.stringify(said.permissions, null, 2)}\n`;
  if (context.update) writeFileSync(PERMISSIONS, permissions);
  const wrong = [];
  if (readFileSync(PERMISSIONS, 'utf8') !== permissions)
    wrong.push('nix/modules/nats/permissions.json differs from what contracts derives; node scripts/nix-check.mjs --update');
  const verdicts = await evaluate(
    context,
    `(let types = import ${join(ROOT, 'nix/modules/types.nix')} { inherit (o) lib; };
      in map (sample: types.\${sample.type}.check sample.value) (builtins.fromJSON (builtins.readFile ${sampleFile(context, said.samples)})))`,
  );
  for (const [index, { type, value, good }] of said.samples.entries()) {
    if (verdicts[index] !== good)
      wrong.push(`${type} ${JSON.stringify(value)}: contracts ${good ? 'take' : 'refuse'} it, the Nix type does not`);
  }
  const servers = JSON.stringify(said.servers.map(({ version }) => version));
  const kept = await evaluate(
    context,
    `(map (import ${join(ROOT, 'nix/modules/nats/keeps-limits.nix')}) (builtins.fromJSON ${JSON.stringify(servers)}))`,
  );
  for (const [index, { version, keeps }] of said.servers.entries()) {
    if (kept[index] !== keeps)
      wrong.push(`nats/keeps-limits.nix: nats-server ${version}: contracts say ${keeps}, the module says ${kept[index]}`);
  }
  wrong.push(...said.drift);
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return `${said.keys.join(' and ')} keys, ${said.samples.length} values`;
}
