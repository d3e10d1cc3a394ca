#!/usr/bin/env node
/**
 * `npm run test:vm`: the VM tests of nix/tests on Debian machines under qemu, with the units, files and users that the modules render.
 *
 *   npm run test:vm                 all tests
 *   npm run test:vm -- --core       the one that the gate runs
 *   npm run test:vm -- leaf         by name
 *
 * CIM_VM_ACCEL=kvm uses the processor's own virtualisation; default is emulation, which every machine has.
 * Promises:
 * M1. What is missing on this machine is an error that says what to install; nothing is skipped.
 * M2. Machines end with this process, however it ends. Nothing is installed; what is made lies under `.cim/vm`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNix, findProgram } from './nix-tools.mjs';
import { become } from './place/child.mjs';
import { takeLock } from './place/lock.mjs';
import { SetupError } from './place/progress.mjs';
import { CACHE, ROOT } from './place/root.mjs';
import { after } from './setup.mjs';
import { findGuest } from './vm-guest.mjs';
import { renderMachines } from './vm-machines.mjs';
import { findProduct } from './vm-product.mjs';
import { findTools, PLACE } from './vm-qemu.mjs';

const CORE = ['leaf'];
const ALL = ['leaf', 'fleet'];
const LOCK_MS = 30 * 60_000;

/** The tests asked for. */
function chosen() {
  const words = process.argv.slice(2);
  const unknown = words.find((word) => word !== '--core' && !ALL.includes(word));
  if (unknown !== undefined) throw new SetupError(`test:vm: unknown argument ${unknown}; known: --core, ${ALL.join(', ')}`);
  const named = words.filter((word) => word !== '--core');
  return words.includes('--core') ? [...new Set([...CORE, ...named])] : named.length > 0 ? named : ALL;
}

await after({ natsServer: false }, async ({ node }) => {
  const tests = chosen();
  const accel = process.env.CIM_VM_ACCEL ?? 'tcg';
  if (!['tcg', 'kvm'].includes(accel)) throw new SetupError(`CIM_VM_ACCEL: expected tcg or kvm, found ${accel}`);
  for (const [program, where] of Object.entries({ python3: 'python3', setpriv: 'util-linux', xz: 'xz-utils', tar: 'tar' })) {
    if (findProgram(program) === undefined)
      throw new SetupError(`VM tests need ${program}, and this machine has none`, `Debian: apt-get install ${where}`);
  }
  const scratch = mkdtempSync(join(tmpdir(), 'cim-vm-tests-'));
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  const lock = await takeLock(join(CACHE, 'vm-lock'), {
    timeoutMs: LOCK_MS,
    tell: (line) => process.stderr.write(`setup: ${line}\n`),
  });
  const spec = join(scratch, 'spec.json');
  try {
    const tools = await findTools(lock.covers);
    const { image, kernel } = await findGuest(tools, lock.covers);
    const product = await findProduct(tools, node);
    const context = { nix: await findNix() };
    const logs = join(PLACE, 'logs');
    mkdirSync(logs, { recursive: true });
    const rendered = [];
    for (const name of tests) {
      const machines = await renderMachines(context, name, join(scratch, name));
      rendered.push({ name, script: join(ROOT, `nix/tests/${name}.py`), machines });
    }
    const share = join(tools.folder, 'usr/share');
    const given = {
      qemu: tools.command('usr/bin/qemu-system-x86_64'),
      img: tools.command('usr/bin/qemu-img'),
      firmware: ['-L', join(share, 'qemu'), '-L', join(share, 'seabios')],
      ...{ image, kernel, product, accel, logs, tests: rendered },
    };
    writeFileSync(spec, JSON.stringify(given));
  } finally {
    lock.release();
  }
  const driver = join(ROOT, 'test/vm/driver/main.py');
  return become('setpriv', ['--pdeathsig', 'TERM', 'python3', driver, spec], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
});
