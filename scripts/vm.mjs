#!/usr/bin/env node
/**
 * `npm run test:vm`: the VM tests of nix/tests on Debian machines with systemd, with the units, files and users that the modules render.
 *
 *   npm run test:vm                       all tests, in containers of systemd-nspawn: needs root
 *   npm run test:vm -- fleet              by name
 *   npm run test:vm -- --driver qemu      on emulated machines with a kernel of their own: no root, forty times slower
 *   npm run test:vm -- --core             the one that the gate runs
 *   npm run test:vm -- --where-possible   a machine that cannot hold containers is told of, and is no failure
 *
 * CIM_VM_ACCEL=kvm lets qemu use the processor's own virtualisation; default is emulation, which every machine has.
 * Promises:
 * M1. What is missing on this machine is an error that says what to install; nothing is skipped in silence.
 * M2. Machines end with this process, however it ends. Nothing is installed; what is made lies under `.cim/vm`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findNix, findProgram } from './nix-tools.mjs';
import { become } from './place/child.mjs';
import { takeLock } from './place/lock.mjs';
import { SetupError } from './place/progress.mjs';
import { CACHE, ROOT } from './place/root.mjs';
import { after } from './setup.mjs';
import { findDisk, findRoot } from './vm-guest.mjs';
import { renderMachines } from './vm-machines.mjs';
import { findProduct, findProductDisk, MOUNT } from './vm-product.mjs';
import { findTools, PLACE } from './vm-qemu.mjs';

const CORE = ['fleet'];
const ALL = ['leaf', 'fleet', 'limits'];
const DRIVERS = ['nspawn', 'qemu'];
const LOCK_MS = 30 * 60_000;
/** The driver's exit code for a machine that cannot hold containers. */
const UNFIT = 3;

/** The words of the command line. */
function read() {
  const options = {
    driver: { type: 'string', default: DRIVERS[0] },
    core: { type: 'boolean', default: false },
    'where-possible': { type: 'boolean', default: false },
  };
  let read;
  try {
    read = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new SetupError(`test:vm: ${error.message}`);
  }
  const { values, positionals: named } = read;
  if (!DRIVERS.includes(values.driver))
    throw new SetupError(`test:vm: --driver: expected ${DRIVERS.join(' or ')}, found ${values.driver}`);
  const unknown = named.find((word) => !ALL.includes(word));
  if (unknown !== undefined) throw new SetupError(`test:vm: there is no test ${unknown}; known: ${ALL.join(', ')}`);
  const tests = values.core ? [...new Set([...CORE, ...named])] : named.length > 0 ? named : ALL;
  return { tests, driver: values.driver, wherePossible: values['where-possible'] };
}

/** What machines of a kind are started from, for the driver. */
async function partsOf(driver, { product, accel, onStart }) {
  if (driver === 'nspawn') return { ...(await findRoot(onStart)), product, mount: MOUNT };
  const tools = await findTools(onStart);
  const share = join(tools.folder, 'usr/share');
  return {
    ...(await findDisk(tools, onStart)),
    product: await findProductDisk(tools, product),
    accel,
    qemu: tools.command('usr/bin/qemu-system-x86_64'),
    img: tools.command('usr/bin/qemu-img'),
    firmware: ['-L', join(share, 'qemu'), '-L', join(share, 'seabios')],
  };
}

/** What this machine cannot do, before anything is fetched. @returns {SetupError | undefined} */
function unfit(driver) {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return new SetupError(
      `VM tests run on Linux with x64; this is ${process.platform} with ${process.arch}`,
      'On another machine with Nix and KVM: nix build .#checks.<system>.fleet',
    );
  if (driver === 'nspawn' && process.getuid() !== 0)
    return new SetupError('Containers need root', 'Without: npm run test:vm -- --driver qemu');
  const programs = { python3: 'python3', setpriv: 'util-linux', tar: 'tar', ...(driver === 'qemu' ? { xz: 'xz-utils' } : {}) };
  for (const [program, where] of Object.entries(programs)) {
    if (findProgram(program) === undefined)
      return new SetupError(`VM tests need ${program}, and this machine has none`, `Debian: apt-get install ${where}`);
  }
  return undefined;
}

await after({}, async ({ node, natsServer }) => {
  const { tests, driver, wherePossible } = read();
  const accel = process.env.CIM_VM_ACCEL ?? 'tcg';
  if (!['tcg', 'kvm'].includes(accel)) throw new SetupError(`CIM_VM_ACCEL: expected tcg or kvm, found ${accel}`);
  const reason = unfit(driver);
  if (reason !== undefined) {
    if (!wherePossible) throw reason;
    process.stdout.write(`NOT RUN           all tests: ${reason.message}\ntest:vm: 0 passed, 0 failed, all not run\n`);
    return 0;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'cim-vm-tests-'));
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  const lock = await takeLock(join(CACHE, 'vm-lock'), {
    timeoutMs: LOCK_MS,
    tell: (line) => process.stderr.write(`setup: ${line}\n`),
  });
  const spec = join(scratch, 'spec.json');
  try {
    const product = await findProduct(node, natsServer.path);
    const parts = await partsOf(driver, { product, accel, onStart: lock.covers });
    const context = { nix: await findNix() };
    const logs = join(PLACE, 'logs');
    mkdirSync(logs, { recursive: true });
    const rendered = [];
    for (const name of tests) {
      const machines = await renderMachines(context, name, join(scratch, name));
      rendered.push({ name, script: join(ROOT, `nix/tests/${name}.py`), machines });
    }
    writeFileSync(spec, JSON.stringify({ ...parts, driver, logs, tests: rendered }));
  } finally {
    lock.release();
  }
  const code = await become('setpriv', ['--pdeathsig', 'TERM', 'python3', join(ROOT, 'test/vm/driver/main.py'), spec], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  return code === UNFIT && wherePossible ? 0 : code;
});
