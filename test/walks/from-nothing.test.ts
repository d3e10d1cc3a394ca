/**
 * From nothing to an enrolled, verifying leaf, as a new user would: the commands of docs/operating.md, word for word, in an empty directory,
 * with the real programs. What stands in the page is what is run: a command that does not work fails here.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock, waitUntil } from '@cim/contracts';
import { findNatsServer, freePort } from '@cim/fleet';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(join(ROOT, 'docs/operating.md'), 'utf8');
let home: string;
let env: Record<string, string>;
/** Ports of the page, to the ones that are free here. */
const ports = new Map<string, number>();
const running: ChildProcess[] = [];

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'cim-nothing-'));
  const bin = join(home, '.bin');
  mkdirSync(bin);
  symlinkSync((await findNatsServer()).path, join(bin, 'nats-server'));
  symlinkSync(process.execPath, join(bin, 'node'));
  const programs = {
    'cim-registry': 'packages/registry/bin/cim-registry.mjs',
    'cim-node-agent': 'packages/node-agent/bin/cim-node-agent.mjs',
    alchemist: 'packages/alchemist/bin/alchemist.mjs',
  };
  for (const [name, main] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, main)}' "$@"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  env = { PATH: `${bin}${delimiter}/usr/bin${delimiter}/bin`, HOME: home, NO_COLOR: '1' };
  for (const port of ['4222', '7422', '8484', '4223', '9090'])
    ports.set(port, await freePort('127.0.0.1', undefined, new Set(ports.values())));
});
afterAll(async () => {
  for (const child of running.reverse()) child.kill('SIGTERM');
  await waitUntil(systemClock, 20_000, () =>
    running.every(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null),
  );
  rmSync(home, { recursive: true, force: true });
});

/** A block of the page by the comment in its first line, with the ports of this machine. */
function block(name: string): string {
  const found = [...page.matchAll(/```(?:sh|json)\n([\s\S]*?)```/g)]
    .map((match) => match[1]!)
    .find((text) => text.startsWith(`# ${name}\n`));
  if (found === undefined) throw new Error(`docs/operating.md: expected a block that begins with "# ${name}"`);
  let text = found;
  for (const [port, here] of ports) text = text.replaceAll(new RegExp(`(?<=[: ]|port )${port}\\b`, 'g'), `${here}`);
  return text;
}

interface Ran {
  readonly code: number | null;
  readonly out: string;
}
function sh(script: string): Promise<Ran> {
  const child = spawn('/bin/sh', ['-e', '-c', script], { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (out += chunk));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, out })));
}
/** A block whose last line runs on. */
function stays(script: string): { readonly child: ChildProcess; readonly said: () => string } {
  const child = spawn('/bin/sh', ['-e', '-c', script.replace(/\n?([^\n]+)\n*$/, '\nexec $1\n')], {
    cwd: home,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => (said += chunk));
  child.stderr.on('data', (chunk) => (said += chunk));
  running.push(child);
  return { child, said: () => said };
}
const until = (check: () => boolean | Promise<boolean>, ms = 30_000) => waitUntil(systemClock, ms, check, 50);
const files = (directory: string): string[] =>
  readdirSync(directory, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(directory, entry.name)) : [join(directory, entry.name)],
  );

test('the hub is made: good to nats-server, readable by its owner alone, and left alone the second time', async () => {
  const made = await sh(block('the hub'));
  expect([made.code, made.out]).toEqual([0, expect.stringContaining('is made')]);
  const hub = join(home, 'hub');
  for (const file of files(hub)) expect([file, statSync(file).mode & 0o777]).toEqual([file, 0o600]);
  const checked = await sh('nats-server -t -c hub/nats/nats.conf');
  expect([checked.code, checked.out]).toEqual([0, expect.stringContaining('is valid')]);
  // The server's own configuration holds no seed.
  expect(readFileSync(join(hub, 'nats/nats.conf'), 'utf8')).not.toMatch(/\bS[OAU][A-Z2-7]{56}\b/);
  const before = files(hub).map((file) => readFileSync(file, 'utf8'));
  const again = await sh(
    block('the hub')
      .split('\n')
      .find((line) => line.includes('hub init'))!,
  );
  expect([again.code, again.out]).toEqual([0, expect.stringContaining('there already')]);
  expect(files(hub).map((file) => readFileSync(file, 'utf8'))).toEqual(before);
}, 60_000);

test('hub and registry run', async () => {
  const hub = stays(block('run the hub'));
  expect([await until(() => /Server is ready/.test(hub.said())), hub.said()]).toEqual([true, expect.anything()]);
  const registry = stays(block('run the registry'));
  expect([await until(() => registry.said().includes('"ready":true')), registry.said()]).toEqual([true, expect.anything()]);
}, 60_000);

test('an instance is let in, enrols with a key of its own, and runs', async () => {
  const ordered = await sh(block('let it in'));
  expect([ordered.code, ordered.out]).toEqual([0, expect.stringContaining('hello.*')]);
  const configured = await sh(block('on the machine'));
  expect([configured.code, configured.out]).toEqual([0, '']);
  const enrolled = await sh(block('enrol'));
  expect([enrolled.code, enrolled.out]).toEqual([0, expect.stringContaining('is enrolled')]);
  expect(statSync(join(home, 'state/leaf.creds')).mode & 0o777).toBe(0o600);
  // The token was good once.
  const twice = await sh(
    `${block('enrol').trim()} --replace --state other`.replace('--config config.json', '--instance cim-prod-001'),
  );
  expect([twice.code, twice.out]).toEqual([1, expect.stringContaining('has been used')]);
  const leaf = stays(block('run the leaf'));
  expect([await until(() => /Leafnode connection created/.test(leaf.said())), leaf.said()]).toEqual([true, expect.anything()]);
  const agent = stays(block('run the node-agent'));
  expect([await until(() => agent.said().includes('the hub answers')), agent.said()]).toEqual([true, expect.anything()]);
}, 90_000);

test('it verifies: what a trusted key signed runs and answers across the leaf, what another signed is refused', async () => {
  const ran = await sh(block('try it'));
  expect([ran.code, ran.out]).toEqual([0, expect.stringMatching(/Ada/)]);
  const foreign = await sh(
    'export CIM_PROFILE=hub/profile.json; alchemist keys new publisher --out other.seed >/dev/null; CIM_PUBLISHER_SEED_FILE=other.seed alchemist deploy ./hello --instance cim-prod-001',
  );
  expect([foreign.code, foreign.out]).toEqual([expect.any(Number), expect.stringMatching(/signer-unknown|not trusted|trust/i)]);
  expect(foreign.code).not.toBe(0);
  const shown = await sh(block('look'));
  expect([shown.code, shown.out]).toEqual([0, expect.stringContaining('cim-prod-001')]);
  expect(shown.out).not.toMatch(/\bS[OAU][A-Z2-7]{56}\b/);
}, 120_000);

test('it is revoked: cut off at once, and not let in again', async () => {
  const revoked = await sh(block('revoke'));
  expect([revoked.code, revoked.out]).toEqual([0, expect.stringContaining('revoked')]);
  const call = await sh('CIM_PROFILE=hub/profile.json alchemist call hello.hello \'{"name":"Ada"}\' --timeout 2s');
  expect(call.code).not.toBe(0);
}, 60_000);
