/**
 * The checks of nix-check, in order; later ones use what earlier ones evaluated. Each returns a few words, or throws: `Skipped` with the
 * reason where this machine lacks a program, anything else is a failure.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { evaluate, evaluated, nix, Skipped } from './nix-evaluate.mjs';
import { BLOCKS, cutGuide, EXAMPLES, golden, machines, writeBlocks } from './nix-guide.mjs';
import { checkOptions, checkSchema } from './nix-options.mjs';
import { checkFilter, checkProfiles } from './nix-parsers.mjs';
import { alertRules, builds, joinLeaf, npmHash, secretScripts } from './nix-programs.mjs';
import { checkScripts, checkUnits } from './nix-units.mjs';
import { ROOT } from './place/root.mjs';

export const checks = [
  { name: 'every .nix file parses', run: parse },
  { name: "the examples are the guide's blocks", run: examples },
  { name: "each of the guide's blocks evaluates alone", run: blocksAlone },
  { name: 'machines evaluate without a failed assertion', run: evaluateMachines },
  { name: 'goldens', run: goldens },
  { name: 'with every part off nothing is left behind', run: nothing },
  { name: "an operator's plain values win over our defaults", run: plainWins },
  { name: 'no secret and no store path where a secret belongs', run: secrets },
  { name: 'negative table', run: negatives },
  { name: 'options are described', run: (context) => checkOptions(context, { evaluate, Skipped }) },
  { name: 'options and permissions match packages/contracts', run: (context) => checkSchema(context, { evaluate, Skipped }) },
  { name: "builds: nats-server -t, and each daemon's --check", run: builds },
  { name: 'secrets are generated and written so that nats-server takes them', run: secretScripts },
  { name: 'hub and leaf join on loopback, nobody gets in without a secret', run: joinLeaf },
  { name: 'alert rules: promtool', run: alertRules },
  { name: 'AppArmor profiles: apparmor_parser', run: checkProfiles },
  { name: 'fail2ban filter: fail2ban-regex on what nats-server writes', run: checkFilter },
  { name: 'flake.nix gives what it names', run: flake },
  { name: 'npm-deps-hash goes with package-lock.json', run: npmHash },
  { name: 'scripts of units are bash', run: checkScripts },
  { name: 'systemd-analyze', run: (context) => checkUnits(context, { Skipped }) },
  { name: "the same with nixpkgs' own module system", run: differential },
];

function nixFiles(folder = ROOT) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ['node_modules', 'dist', '.cim', '.git'].includes(entry.name) ? [] : nixFiles(path);
    return entry.name.endsWith('.nix') ? [path] : [];
  });
}

async function parse(context) {
  const files = nixFiles();
  const { code, output } = await nix(context, 'nix-instantiate', ['--parse', ...files]);
  if (code !== 0) throw new Error(output.trim());
  return `${files.length} files`;
}

async function examples() {
  const blocks = cutGuide();
  if (blocks.length !== BLOCKS) throw new Error(`expected ${BLOCKS} Nix blocks in the guide, found ${blocks.length}`);
  for (const [name, index] of Object.entries(EXAMPLES)) {
    if (readFileSync(join(ROOT, `examples/${name}.nix`), 'utf8') !== blocks[index])
      throw new Error(`examples/${name}.nix differs from block ${index + 1} of the guide`);
  }
}

function blocksOf(context) {
  if (!context.shared.has('blocks')) context.shared.set('blocks', writeBlocks(join(context.scratch, 'guide')));
  return context.shared.get('blocks');
}

async function blocksAlone(context) {
  const blocks = blocksOf(context);
  const results = await evaluate(context, `map (file: o.machine [ file ]) [ ${blocks.join(' ')} ]`);
  const wrong = results.flatMap((machine, index) => machine.failed.map((message) => `block ${index + 1}: ${message}`));
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return `${blocks.length} blocks`;
}

const machinesExpression = (context) =>
  `builtins.mapAttrs (_: o.machine) { ${Object.entries(machines(blocksOf(context)))
    .map(([name, modules]) => `${JSON.stringify(name)} = [ ${modules.join(' ')} ];`)
    .join(' ')} }`;

async function evaluateMachines(context) {
  const all = await evaluate(context, machinesExpression(context));
  context.shared.set('machines', all);
  const wrong = Object.entries(all).flatMap(([name, machine]) => machine.failed.map((message) => `${name}: ${message}`));
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return Object.keys(all).join(', ');
}

async function goldens(context) {
  const folder = join(ROOT, 'test/nix/golden');
  mkdirSync(folder, { recursive: true });
  const wrong = [];
  for (const [name, machine] of Object.entries(evaluated(context))) {
    const path = join(folder, `${name}.txt`);
    const text = golden(machine);
    if (context.update) writeFileSync(path, text);
    const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (before === text) continue;
    const [old, now] = [before.split('\n'), text.split('\n')];
    const line = now.findIndex((each, index) => each !== old[index]);
    wrong.push(`${name}.txt, line ${line + 1}:\n  was ${old[line]}\n  is  ${now[line]}`);
  }
  if (wrong.length > 0)
    throw new Error(`${wrong.join('\n')}\nIf that is meant: node scripts/nix-check.mjs --update, and review the difference.`);
}

async function nothing(context) {
  const machine = await evaluate(context, 'o.machine [ { } ]');
  const left = { ...machine.etc, ...machine.units, ...machine.users };
  const all = [...Object.keys(left), ...machine.groups, ...machine.warnings, ...machine.failed, ...machine.tmpfiles];
  if (all.length > 0) throw new Error(`found ${all.join(', ')}`);
}

async function plainWins(context) {
  const machine = await evaluate(
    context,
    `o.machine [ ${join(ROOT, 'examples/leaf.nix')} {
      services.nats = { port = 4333; serverName = "other"; settings.http = "127.0.0.1:8333"; settings.host = "10.0.0.1"; };
      services.nats.settings.jetstream.domain = "elsewhere";
      services.prometheus = { enable = true; port = 9999; };
      cim.nodeAgent.settings.sandbox.maxWorkloads = 7;
      users.users.cim-agent.home = "/srv/agent";
      systemd.services.nats.serviceConfig.ExecStart = o.lib.mkForce "/own/nats";
    } ]`,
  );
  const conf = machine.etc['nats/nats.conf'];
  const config = JSON.parse(machine.etc['cim/config.json']);
  const seen = {
    port: conf.includes('"port": 4333'),
    name: conf.includes('"server_name": "other"'),
    monitoring: conf.includes('"http": "127.0.0.1:8333"'),
    host: conf.includes('"host": "10.0.0.1"'),
    domain: conf.includes('"domain":"elsewhere"'),
    prometheus: machine.prometheus.port === 9999,
    workloads: config.sandbox.maxWorkloads === 7,
    url: config.nats.url === 'nats://127.0.0.1:4333',
    home: machine.users['cim-agent'].home === '/srv/agent',
    start: machine.units['nats.service'].includes('ExecStart=/own/nats\n'),
  };
  const lost = Object.entries(seen)
    .filter(([, won]) => !won)
    .map(([name]) => name);
  if (lost.length > 0) throw new Error(`our value stands instead: ${lost.join(', ')}`);
  return `${Object.keys(seen).length} values`;
}

async function secrets(context) {
  const wrong = [];
  for (const [name, machine] of Object.entries(evaluated(context))) {
    for (const [file, text] of Object.entries(machine.etc)) {
      for (const [, key, value] of (text ?? '').matchAll(
        /"(password|pass|token|seed|cert_file|key_file|ca_file|credentials|\w*File)":\s*("[^"]*"|\$\w+)/g,
      )) {
        if (value.startsWith('"/nix/store')) wrong.push(`${name}: /etc/${file}: ${key} is a path in the store`);
        if (key === 'password' && !value.startsWith('$')) wrong.push(`${name}: /etc/${file}: a password stands in the file`);
      }
      for (const [, url] of (text ?? '').matchAll(/"(\w+:\/\/[^"/]*@[^"]*)"/g)) wrong.push(`${name}: /etc/${file}: ${url}`);
    }
    for (const [unit, text] of Object.entries(machine.units)) {
      if (/^LoadCredential=[^:]*:\/nix\/store/m.test(text)) wrong.push(`${name}: ${unit}: a credential comes from the store`);
    }
  }
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
}

async function negatives(context) {
  const table = join(ROOT, 'test/nix/negative.nix');
  const libs = [undefined, ...(process.env.NIXPKGS_LIB ? [process.env.NIXPKGS_LIB] : [])];
  const cases = await evaluate(context, `builtins.mapAttrs (_: case: removeAttrs case [ "modules" ]) (import ${table})`);
  const names = Object.keys(cases);
  const wrong = [];
  const one = async (name, lib) => {
    const { assertion, warning, error } = cases[name];
    const where = lib ? `${name} (nixpkgs)` : name;
    try {
      const found = await evaluate(
        context,
        `(let m = o.machine (import ${table}).${JSON.stringify(name)}.modules; in { inherit (m) failed warnings; files = builtins.deepSeq (if m.failed == [ ] then [ m.etc m.units ] else [ ]) true; })`,
        lib,
      );
      if (error !== undefined) wrong.push(`${where}: evaluates; expected the error: ${error}`);
      else if (assertion !== undefined && !found.failed.includes(assertion))
        wrong.push(`${where}: expected the assertion: ${assertion}\n  found: ${found.failed.join('\n  ') || 'none'}`);
      else if (warning !== undefined && (found.failed.length > 0 || !found.warnings.includes(warning)))
        wrong.push(
          `${where}: expected the warning: ${warning}\n  found: ${[...found.failed, ...found.warnings].join('\n  ') || 'none'}`,
        );
    } catch (thrown) {
      // Evaluation wraps the message of an option in where it was met; quotes and colours differ between versions of nix.
      const said = stripVTControlCharacters(thrown.message);
      if (error === undefined || !said.includes(error))
        wrong.push(
          `${where}: expected ${error ?? assertion ?? warning}\n  found: ${said.split('\n').slice(0, 6).join('\n  ')}`,
        );
    }
  };
  const queue = libs.flatMap((lib) => names.map((name) => [name, lib]));
  await Promise.all(
    Array.from({ length: context.parallel }, async () => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) await one(...next);
    }),
  );
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return `${names.length} bad configurations${libs.length > 1 ? ', with both module systems' : ''}`;
}

/** The flake's outputs with a stand-in for nixpkgs: that they exist, and that its modules give a machine. What they build is not seen. */
async function flake(context) {
  const outputs = await evaluate(
    context,
    `(let
      nixpkgs = { lib = o.lib // { nixosSystem = given: o.evaluate { inherit (given) modules; }; }; legacyPackages.x86_64-linux = o.pkgs; };
      self = (import ${join(ROOT, 'flake.nix')}).outputs { inherit nixpkgs; self = self // { packages.x86_64-linux.cim = o.pkgs.cim; }; };
    in {
      names = builtins.attrNames self;
      modules = builtins.mapAttrs (_: module: (o.machine [ module { cim.domains.graph = { }; } ]).failed) { inherit (self.nixosModules) default; };
      machines = builtins.attrNames self.nixosConfigurations;
    })`,
  );
  const missing = ['checks', 'devShells', 'formatter', 'nixosConfigurations', 'nixosModules', 'overlays', 'packages'].filter(
    (name) => !outputs.names.includes(name),
  );
  if (missing.length > 0) throw new Error(`flake.nix lacks ${missing.join(', ')}`);
  if (outputs.modules.default.length > 0) throw new Error(outputs.modules.default.join('\n'));
  const { nodes, root, version } = JSON.parse(readFileSync(join(ROOT, 'flake.lock'), 'utf8'));
  const inputs = await evaluate(
    context,
    `(builtins.mapAttrs (_: input: input.url) (import ${join(ROOT, 'flake.nix')}).inputs)`,
  );
  for (const [name, url] of Object.entries(inputs)) {
    const { original, locked } = nodes[nodes[root].inputs[name]] ?? {};
    const named = original && `${original.type}:${original.owner}/${original.repo}/${original.ref}`;
    if (version !== 7 || named !== url || !/^[0-9a-f]{40}$/.test(locked?.rev ?? '') || !locked.narHash?.startsWith('sha256-'))
      throw new Error(`flake.lock: input ${name} of flake.nix is ${url}, locked is ${named}; nix flake lock`);
  }
  return outputs.machines.join(', ');
}

async function differential(context) {
  const lib = process.env.NIXPKGS_LIB;
  if (!lib) throw new Skipped('NIXPKGS_LIB is not set; only the module system of nix/offline was used');
  const theirs = await evaluate(context, machinesExpression(context), lib);
  const ours = evaluated(context);
  for (const name of Object.keys(ours)) {
    if (JSON.stringify(theirs[name]) !== JSON.stringify(ours[name])) throw new Error(`${name} differs`);
  }
  const odd = join(ROOT, 'test/nix/module-system.nix');
  const [a, b] = [
    await evaluate(context, `import ${odd} { inherit (o) lib; }`),
    await evaluate(context, `import ${odd} { inherit (o) lib; }`, lib),
  ];
  const different = Object.keys(a).filter((name) => JSON.stringify(a[name]) !== JSON.stringify(b[name]));
  if (different.length > 0)
    throw new Error(
      `module system: ${different.map((name) => `${name}: ${JSON.stringify(a[name])} / ${JSON.stringify(b[name])}`).join('\n')}`,
    );
  const version = await evaluate(context, '(o.lib.version or o.lib.trivial.version)', lib);
  return `nixpkgs lib ${version}: ${Object.keys(ours).length} machines, ${Object.keys(a).length} cases of the module system identical`;
}
