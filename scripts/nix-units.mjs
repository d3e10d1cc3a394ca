/**
 * The rendered units before systemd's own eyes: `verify` reads every directive, `security` weighs how exposed a unit is.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evaluated } from './nix-evaluate.mjs';
import { findProgram } from './nix-tools.mjs';
import { capture } from './place/child.mjs';

const SYSTEMD_MS = 60_000;
/** Most exposure, in tenths, for the units of ours that listen to the network. */
const MOST_EXPOSURE = 25;
const DEVICES_EXPOSURE = 2;
const WEIGHED = ['cim-node-agent.service', 'cim-registry.service', 'nats.service'];
/** Directives by the version of systemd that brought them; an older one says "unknown" and goes on. */
const SINCE = { DelegateSubgroup: 254 };

export async function checkUnits(context, { Skipped }) {
  const analyze = findProgram('systemd-analyze');
  if (analyze === undefined) throw new Skipped('no systemd-analyze here');
  const version = Number(/systemd (\d+)/.exec((await capture(analyze, ['--version'], { timeoutMs: SYSTEMD_MS })).output)?.[1]);
  const machines = evaluated(context);
  const tooNew = Object.keys(SINCE).filter((name) => SINCE[name] > version);
  const wrong = [];
  const exposure = {};
  for (const [name, machine] of Object.entries(machines)) {
    const folder = join(context.scratch, 'units', name);
    mkdirSync(folder, { recursive: true });
    const program = join(folder, 'program');
    writeFileSync(program, '#!/bin/sh\n');
    chmodSync(program, 0o755);
    // The store is not here, so every program is one that exists; stand-ins of nixpkgs' own units come along.
    const files = Object.entries(machine.units).map(([unit, text]) => {
      const path = join(folder, unit);
      writeFileSync(path, text.replaceAll(/\/nix\/store\/\S+?(?=[\s"]|$)/g, program));
      return path;
    });
    const { output } = await capture(analyze, ['verify', '--man=no', '--recursive-errors=no', ...files], {
      env: { ...process.env, LC_ALL: 'C' },
      timeoutMs: SYSTEMD_MS,
    });
    const said = output.split('\n').filter((line) => line.includes(folder) || /^(?:cim|nats)\S*: /.test(line));
    wrong.push(
      ...said
        .filter((line) => !tooNew.some((directive) => line.includes(directive)))
        .map((line) => `${name}: ${line.replaceAll(`${folder}/`, '')}`),
    );
    for (const unit of WEIGHED.filter((each) => each in machine.units)) {
      // A graphics card must be seen to be used.
      const most = MOST_EXPOSURE + (machine.units[unit].includes('PrivateDevices=false') ? DEVICES_EXPOSURE : 0);
      const weighed = await capture(
        analyze,
        ['security', '--offline=true', `--threshold=${most}`, '--no-pager', join(folder, unit)],
        {
          env: { ...process.env, LC_ALL: 'C' },
          timeoutMs: SYSTEMD_MS,
        },
      );
      const level = Number(/exposure level for \S+: ([\d.]+)/.exec(weighed.output)?.[1]);
      exposure[unit] = Math.max(exposure[unit] ?? 0, level);
      if (!(level * 10 <= most))
        wrong.push(`${name}: ${unit}: exposure ${level || weighed.output.trim()}, at most ${most / 10} is allowed`);
    }
  }
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  const levels = Object.entries(exposure).map(([unit, level]) => `${unit.replace('.service', '')} ${level}`);
  const blind = tooNew.length > 0 ? `; systemd ${version} does not know ${tooNew.join(', ')}` : '';
  return `exposure ${levels.join(', ')}${blind}`;
}

/** Every script that a unit starts, read by bash and not carried out: a condition that holds only on some machine may empty a branch. */
export async function checkScripts(context) {
  const wrong = [];
  let count = 0;
  for (const [name, machine] of Object.entries(evaluated(context))) {
    for (const [unit, script] of Object.entries(machine.scripts)) {
      const { code, output } = await capture('bash', ['-n', '-c', script], { timeoutMs: SYSTEMD_MS });
      if (code !== 0) wrong.push(`${name}: ${unit}: ${output.trim()}`);
      count++;
    }
  }
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return `${count} scripts`;
}
