/**
 * The machines of a VM test as the modules render them: units, files of /etc, users, and the scripts that units start, each at the path
 * in the store that the unit names. Nothing is rewritten on the way into the guest.
 */
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { evaluate } from './nix-evaluate.mjs';
import { must } from './place/child.mjs';
import { ROOT } from './place/root.mjs';
import { MOUNT } from './vm-product.mjs';

const SHORT_MS = 60_000;
const STORE = '/nix/store/00000000000000000000000000000000';
/** Where Debian keeps what a package of nixpkgs holds: link and target. */
const PACKAGES = {
  [`${STORE}-bash`]: '/usr',
  [`${STORE}-bubblewrap`]: '/usr',
  [`${STORE}-coreutils`]: '/usr',
  [`${STORE}-curl`]: '/usr',
  [`${STORE}-jq`]: '/usr',
  [`${STORE}-systemd`]: '/usr',
  [`${STORE}-util-linux`]: '/usr',
  [`${STORE}-nats-server/bin/nats-server`]: `${MOUNT}/lib/nats-server`,
};

/**
 * @typedef {{ name: string, memory: number, address: string, files: string }} Machine `memory` in MiB; `files`: a tar that is laid over the
 *   root at first boot
 */

/**
 * Evaluates the nodes of `nix/tests/<test>.nix`.
 * @param {import('./nix-evaluate.mjs').Context | any} context of nix-evaluate
 * @param {string} test @param {string} folder where the tars go
 * @returns {Promise<Machine[]>}
 */
export async function renderMachines(context, test, folder) {
  const file = join(ROOT, `nix/tests/${test}.nix`);
  const nodes = await evaluate(
    context,
    `builtins.mapAttrs (name: node:
      let
        # What the test framework of NixOS adds to a node.
        modules = [ node ({ lib, ... }: {
          options.virtualisation = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; description = "Of the framework."; };
          config.networking.hostName = lib.mkDefault name;
        }) ];
        inherit (o.evaluate { inherit modules; }) config;
        scripted = o.lib.filterAttrs (_: unit: unit.script != "") config.systemd.services;
      in o.machine modules // {
        memory = config.virtualisation.memorySize or 768;
        packages = map (package: package.name) config.environment.systemPackages;
        scripts = map (script: { path = script.outPath; inherit (script) text; }) (
          o.lib.mapAttrsToList (unit: value: o.pkgs.writeShellScript "\${unit}-start" "set -e\\n\${value.script}") scripted
          ++ o.lib.optional config.services.nats.enable config.services.nats.secretScript);
      }) (import ${file}).nodes`,
  );
  const names = Object.keys(nodes).sort();
  const machines = names.map((name, index) => ({ name, node: nodes[name], address: `192.168.1.${index + 1}` }));
  const hosts = machines.map(({ name, address }) => `${address} ${name}\n`).join('');
  return Promise.all(
    machines.map(async ({ name, node, address }, index) => {
      if (node.failed.length > 0) throw new Error(`${file}: ${name}: ${node.failed.join('\n')}`);
      const tree = join(folder, name);
      const write = (path, text, mode = 0o644) => {
        mkdirSync(dirname(join(tree, path)), { recursive: true });
        writeFileSync(join(tree, path), text);
        chmodSync(join(tree, path), mode);
      };
      const link = (path, target) => {
        mkdirSync(dirname(join(tree, path)), { recursive: true });
        symlinkSync(target, join(tree, path));
      };
      write('etc/hostname', `${name}\n`);
      write('etc/hosts', `127.0.0.1 localhost\n${hosts}`);
      write('etc/machine-id', `${String(index + 1).padStart(32, 'c')}\n`);
      write('etc/cim-vm/address', `${address}\n`);
      write('etc/cim-vm/product', `${MOUNT}\n`);
      for (const [path, target] of Object.entries(PACKAGES)) link(path, target);
      for (const { path, text } of node.scripts) write(path, text, 0o755);
      if (node.packages.includes('cim')) {
        for (const program of ['alchemist', 'cim-node-agent', 'cim-registry'])
          link(`usr/local/bin/${program}`, `${MOUNT}/bin/${program}`);
      }
      for (const [path, text] of Object.entries(node.etc)) {
        if (text === null) mkdirSync(join(tree, 'etc', path), { recursive: true });
        else write(`etc/${path}`, text);
      }
      for (const [unit, text] of Object.entries(node.units)) {
        write(`etc/systemd/system/${unit}`, text);
        for (const [, kind, targets] of text.matchAll(/^(Wanted|Required)By=(.*)$/gm)) {
          for (const target of targets.split(' '))
            link(`etc/systemd/system/${target}.${kind === 'Wanted' ? 'wants' : 'requires'}/${unit}`, `../${unit}`);
        }
      }
      for (const [unit, times] of Object.entries(node.timers)) {
        const calendar = times.map((time) => `OnCalendar=${time}\n`).join('');
        write(`etc/systemd/system/${unit}.timer`, `[Timer]\n${calendar}`);
        link(`etc/systemd/system/timers.target.wants/${unit}.timer`, `../${unit}.timer`);
      }
      write('etc/tmpfiles.d/00-cim.conf', `${node.tmpfiles.join('\n')}\n`);
      write('etc/sysusers.d/cim.conf', sysusers(node));
      const files = join(folder, `${name}.tar`);
      await must(
        `packing the files of ${name}`,
        'tar',
        ['-c', '-f', files, '--owner=root:0', '--group=root:0', '-C', tree, '.'],
        {
          timeoutMs: SHORT_MS,
        },
      );
      rmSync(tree, { recursive: true });
      return { name, address, memory: node.memory, files };
    }),
  );
}

/** Users and groups in the words of sysusers.d(5). */
function sysusers({ users, groups }) {
  const lines = groups.map((group) => `g ${group} -\n`);
  for (const [name, user] of Object.entries(users)) {
    lines.push(`u ${name} -:${user.group} "${name}" ${user.home}\n`);
    for (const group of user.extraGroups) lines.push(`m ${name} ${group}\n`);
  }
  return lines.join('');
}
