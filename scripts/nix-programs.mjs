/**
 * The checks that run real programs on what was rendered: build scripts, the machine's own scripts, nats-server and the daemons' --check.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { EVALUATE_MS, evaluate, evaluated, nix, Skipped } from './nix-evaluate.mjs';
import { hashIsFresh, narHash } from './nix-hash.mjs';
import { joinOnLoopback } from './nix-join.mjs';
import { findProgram, folderOf } from './nix-tools.mjs';
import { capture } from './place/child.mjs';
import { fetchDebianPackage } from './place/debian.mjs';
import { findNatsServer } from './place/nats-server.mjs';
import { CACHE, ROOT } from './place/root.mjs';

const PROMTOOL_MS = 30_000;

/** The folders of the programs a build may call. */
async function toolFolders() {
  const { found } = await findNatsServer();
  if (found === undefined) throw new Skipped('no nats-server here; npm run setup fetches one');
  const openssl = findProgram('openssl');
  if (openssl === undefined) throw new Skipped('no openssl here');
  const node = join(ROOT, `node_modules/node-linux-${process.arch}/bin`);
  return {
    nats: found.path,
    path: [
      folderOf(found.path),
      ...(existsSync(node) ? [node] : []),
      join(ROOT, 'node_modules/.bin'),
      folderOf(openssl),
      '/usr/bin',
      '/bin',
    ].join(':'),
  };
}

/** Carries out a build script, as Nix would, with the programs of this machine. @returns its exit code, what it said, and what it made */
async function carryOut(context, tools, machine, { name: file, script, text }) {
  const folder = join(context.scratch, 'builds', machine);
  mkdirSync(folder, { recursive: true });
  const env = {
    PATH: tools.path,
    TMPDIR: folder,
    HOME: folder,
    textPath: join(folder, `${file}.text`),
    out: join(folder, file),
  };
  writeFileSync(env.textPath, text);
  const { code, output } = await capture('bash', ['-euo', 'pipefail', '-c', script], {
    env,
    cwd: folder,
    timeoutMs: EVALUATE_MS,
  });
  return { code, output, made: code === 0 ? readFileSync(env.out, 'utf8') : undefined };
}

/** Every machine's files are built and are what was written; what no daemon understands is not built. */
export async function builds(context) {
  if (!existsSync(join(ROOT, 'packages/node-agent/dist/main.js'))) throw new Skipped('packages are not built; npm run build');
  const tools = await toolFolders();
  let count = 0;
  const wrong = [];
  for (const [name, machine] of Object.entries(evaluated(context))) {
    for (const build of machine.builds) {
      const { code, output, made } = await carryOut(context, tools, name, build);
      if (code !== 0) wrong.push(`${name}: ${build.name}:\n${output.trim()}`);
      else if (made !== build.text) wrong.push(`${name}: ${build.name}: what is installed is not what was written`);
      count++;
    }
  }
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  const refused = await refusals(context, tools);
  return `${count} files of ${Object.keys(evaluated(context)).length} machines; ${refused} with a wrong key refused`;
}

/** Keys that pass the module, since a daemon may know more than its module does, and that no daemon knows. */
const MISSPELT = {
  'cim-registry.json': ['hub', 'cim.registry.settings.limits.maxBundel = "1Mi";', 'maxBundel'],
  'cim-node-agent.json': ['leaf', 'cim.nodeAgent.settings.sandbox.memmory = "1Gi";', 'memmory'],
};

/** A key nobody knows fails the build of the machine, and is named. @returns how many were tried */
async function refusals(context, tools) {
  for (const [file, [example, line, key]] of Object.entries(MISSPELT)) {
    const machine = await evaluate(context, `o.machine [ ${join(ROOT, `examples/${example}.nix`)} { ${line} } ]`);
    const build = machine.builds.find(({ name }) => name === file);
    if (build === undefined) throw new Error(`${example}: no build of ${file}`);
    const { code, output } = await carryOut(context, tools, `misspelt-${example}`, build);
    if (code === 0) throw new Error(`${example}: ${line} was built`);
    if (!output.includes(key)) throw new Error(`${example}: ${line} was refused without a word of ${key}:\n${output.trim()}`);
  }
  return Object.keys(MISSPELT).length;
}

/** Runs the machine's own scripts in a folder that stands for /, then lets nats-server read the result. */
export async function secretScripts(context) {
  const tools = await toolFolders();
  const root = join(context.scratch, 'root');
  const scripts = await evaluate(
    context,
    `(let c = (o.evaluate { modules = [ ${join(ROOT, 'examples/hub.nix')} ]; }).config; in {
      generate = c.systemd.services.cim-secrets.script;
      write = c.systemd.services.nats.serviceConfig.ExecStartPre;
      variables = c.services.nats.secretVariables; names = c.cim.secrets.generate;
      text = c.environment.etc."nats/nats.conf".source.text; body = c.services.nats.secretScript.text; })`,
  );
  for (const folder of ['var/lib/cim-secrets', 'run/nats', 'etc/nats', 'credentials'])
    mkdirSync(join(root, folder), { recursive: true });
  const run = (script, env = {}) =>
    capture('bash', ['-c', script.replaceAll('/var/lib/', `${root}/var/lib/`).replaceAll('/run/nats/', `${root}/run/nats/`)], {
      env: { PATH: tools.path, ...env },
      timeoutMs: EVALUATE_MS,
    });
  const must = async (what, script, env) => {
    const { code, output } = await run(script, env);
    if (code !== 0) throw new Error(`${what}: ${output.trim()}`);
  };
  const secretOf = (name) => readFileSync(join(root, 'var/lib/cim-secrets', name), 'utf8');
  await must('the first boot', `set -e\n${scripts.generate}`);
  const first = scripts.names.map(secretOf);
  if (first.some((secret) => !/^[A-Za-z0-9]{30,}$/.test(secret)))
    throw new Error('a generated password is short or has other characters');
  await must('the second boot', `set -e\n${scripts.generate}`);
  if (scripts.names.map(secretOf).join() !== first.join()) throw new Error('the second boot changed a password');
  const credentials = join(root, 'credentials');
  for (const [name, { file }] of Object.entries(scripts.variables)) {
    const generated = file.startsWith('/var/lib/cim-secrets/') ? readFileSync(join(root, file), 'utf8') : 'leaf-password.1\n';
    writeFileSync(join(credentials, name), generated);
  }
  await must('nats-secrets', scripts.body, { CREDENTIALS_DIRECTORY: credentials });
  const store = join(root, 'store');
  writeFileSync(join(root, 'etc/nats/nats.conf'), scripts.text.replaceAll('"/var/lib/nats"', JSON.stringify(store)));
  const { code, output } = await capture(tools.nats, ['-c', join(root, 'etc/nats/nats.conf'), '-t'], {
    timeoutMs: EVALUATE_MS,
  });
  if (code !== 0) throw new Error(output.trim());
  writeFileSync(join(credentials, Object.keys(scripts.variables)[0]), 'a"\nport: 1');
  const refused = await run(scripts.body, { CREDENTIALS_DIRECTORY: credentials });
  if (refused.code === 0) throw new Error('a password that breaks out of its quotes was taken');
  return `${scripts.names.length} passwords`;
}

export async function joinLeaf(context) {
  const { nats } = await toolFolders();
  const examples = join(ROOT, 'examples');
  const programs = {
    registry: join(ROOT, 'packages/registry/dist/main.js'),
    agent: join(ROOT, 'packages/node-agent/dist/main.js'),
  };
  const node = join(ROOT, `node_modules/node-linux-${process.arch}/bin/node`);
  if (!existsSync(node) || !Object.values(programs).every((path) => existsSync(path)))
    throw new Skipped('packages are not built; npm run build');
  return joinOnLoopback({
    scratch: context.scratch,
    nats,
    node,
    programs,
    render: (ports) =>
      evaluate(
        context,
        `(let
          hub = (o.machine [ ${examples}/hub.nix {
            cim.registry.settings.http.port = ${ports.registry};
            services.nats = { port = ${ports.hub}; leafnode.port = ${ports.leafnode};
              settings.host = "127.0.0.1"; settings.leafnodes.host = "127.0.0.1"; settings.http = "127.0.0.1:${ports.hubHttp}"; }; } ]).etc;
          leaf = (o.machine [ ${examples}/leaf.nix {
            cim.nodeAgent.settings.http.port = ${ports.agent};
            services.nats = { port = ${ports.leaf}; settings.host = "127.0.0.1"; settings.http = "127.0.0.1:${ports.leafHttp}";
              authorization.users = [ { user = "cim-agent"; permissions = { publish = [ "agent.>" "workflow.>" ]; subscribe = [ "commands.>" "events.>" ]; }; } ]; }; } ]).etc;
        in {
          hub = hub."nats/nats.conf"; registry = hub."cim/registry.json";
          leaf = leaf."nats/nats.conf"; agent = leaf."cim/config.json";
        })`,
      ),
  });
}

/** The hash of the npm packages belongs to the lock of now, and our way of hashing a folder is nix' own. */
export async function npmHash(context) {
  if (!hashIsFresh()) throw new Error('nix/packages/npm-deps-hash is older than package-lock.json; node scripts/nix-hash.mjs');
  const folder = join(context.scratch, 'archive');
  const files = new Map([
    ['a', Buffer.from('one')],
    ['b/c', Buffer.alloc(0)],
    ['b/d.e', Buffer.from('12345678')],
  ]);
  mkdirSync(join(folder, 'b'), { recursive: true });
  for (const [path, data] of files) writeFileSync(join(folder, path), data, { mode: 0o644 });
  const { code, output } = await nix(context, 'nix-hash', ['--type', 'sha256', '--base64', folder]);
  // Older versions print hexadecimal only.
  const ours = Buffer.from(narHash(files), 'base64');
  const said = output.trim();
  if (code === 0 && said !== ours.toString('base64') && said !== ours.toString('hex'))
    throw new Error(`nix says ${said}, we say ${ours.toString('base64')}`);
  if (code !== 0) {
    const hex = await nix(context, 'nix-hash', ['--type', 'sha256', folder]);
    if (hex.output.trim() !== ours.toString('hex'))
      throw new Error(`nix says ${hex.output.trim()}, we say ${ours.toString('hex')}`);
  }
}

/** Prometheus' own reader takes the alert rules: syntax, expressions, templates. */
export async function alertRules() {
  const promtool = await findPromtool();
  const { code, output } = await capture(promtool, ['check', 'rules', join(ROOT, 'nix/observability/alerts.yml')], {
    timeoutMs: PROMTOOL_MS,
  });
  if (code !== 0) throw new Error(output.trim());
  return /(\d+ rules)/.exec(output)?.[1] ?? '';
}

/** On PATH, or Debian's under `.cim`. */
async function findPromtool() {
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'promtool'));
  const found = [...onPath, join(CACHE, 'prometheus/usr/bin/promtool')].find((path) => existsSync(path));
  return found ?? join(await fetchDebianPackage('prometheus'), 'usr/bin/promtool');
}
