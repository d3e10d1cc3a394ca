/**
 * What other programs are told: AppArmor's profiles before its own parser, the fail2ban filter on lines that a real nats-server has just
 * written. Both programs come from Debian where this machine has none; neither needs a kernel with AppArmor nor root.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { evaluated, Skipped } from './nix-evaluate.mjs';
import { findProgram } from './nix-tools.mjs';
import { capture } from './place/child.mjs';
import { fetchDebianPackage } from './place/debian.mjs';
import { findNatsServer } from './place/nats-server.mjs';
import { CACHE } from './place/root.mjs';

const PARSE_MS = 60_000;
const SERVER_MS = 10_000;
const PROFILES = 'apparmor.d';
const FILTER = 'fail2ban/filter.d/nats-auth.conf';

/** A package of Debian under `.cim`, or why it cannot be had. */
async function fetched(name) {
  const into = join(CACHE, name);
  if (existsSync(into)) return into;
  try {
    return await fetchDebianPackage(name, { into });
  } catch (error) {
    throw new Skipped(`${name} is not here and cannot be had: ${error.message.split('\n')[0]}`);
  }
}

/** Every profile that a machine would load. @returns {Promise<string>} */
export async function checkProfiles(context) {
  const folder = await fetched('apparmor');
  const parser = ['usr/sbin/apparmor_parser', 'sbin/apparmor_parser']
    .map((path) => join(folder, path))
    .find((path) => existsSync(path));
  const rules = join(folder, 'etc/apparmor.d');
  const scratch = join(context.scratch, 'profiles');
  mkdirSync(scratch, { recursive: true });
  let count = 0;
  for (const [name, machine] of Object.entries(evaluated(context))) {
    // The harness writes them one after another, each below its name.
    const parts = (machine.etc[PROFILES] ?? '').split(/^# (\S+)\n/m).slice(1);
    for (let at = 0; at < parts.length; at += 2) {
      const [profile, text] = parts.slice(at);
      const file = join(scratch, `${name}-${profile}`);
      writeFileSync(file, text);
      // Read and compiled, neither loaded nor cached.
      const args = ['--skip-kernel-load', '--skip-cache', '--base', rules, '--Include', rules, file];
      const { code, output } = await capture(parser, args, { timeoutMs: PARSE_MS });
      if (code !== 0) throw new Error(`${name}: ${profile}: ${output.trim()}`);
      count++;
    }
  }
  if (count === 0) throw new Error('no machine has a profile');
  return `${count} profiles`;
}

/** The filter finds each refused login, and nothing else that the server says. @returns {Promise<string>} */
export async function checkFilter(context) {
  const python = findProgram('python3');
  if (python === undefined) throw new Skipped('no python3 here');
  const text = Object.values(evaluated(context)).find((machine) => FILTER in machine.etc)?.etc[FILTER];
  if (text === undefined) throw new Error('no machine has the filter');
  const folder = await fetched('fail2ban');
  const scratch = join(context.scratch, 'fail2ban');
  mkdirSync(scratch, { recursive: true });
  const filter = join(scratch, 'nats-auth.conf');
  writeFileSync(filter, text);
  const log = join(scratch, 'nats.log');
  writeFileSync(log, (await refusals(join(scratch, 'nats.conf'))).replace(/^\[\d+\] /gm, ''));
  const library = join(folder, 'usr/lib/python3/dist-packages');
  const { code, output } = await capture(python, [join(folder, 'usr/bin/fail2ban-regex'), log, filter], {
    env: { ...process.env, PYTHONPATH: library, PYTHONDONTWRITEBYTECODE: '1', LC_ALL: 'C' },
    timeoutMs: PARSE_MS,
  });
  const [, lines, , matched] = /Lines: (\d+) lines, (\d+) ignored, (\d+) matched/.exec(output) ?? [];
  if (code !== 0 || matched !== '2')
    throw new Error(`expected 2 lines to match, found ${matched ?? output.trim()}\n${readFileSync(log, 'utf8')}`);
  return `2 refusals in ${lines} lines`;
}

/** What a nats-server says while two clients are refused and one is let in. */
async function refusals(config) {
  const { found } = await findNatsServer();
  if (found === undefined) throw new Skipped('no nats-server here; npm run setup fetches one');
  const port = await freePort();
  writeFileSync(config, `listen: "127.0.0.1:${port}"\nauthorization { users: [ { user: a, password: right } ] }\n`);
  const server = spawn(found.path, ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  server.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  const ended = new Promise((resolve) => server.once('close', resolve));
  try {
    await until(() => said.includes('Server is ready'));
    for (const password of ['wrong', 'right', '']) await login(port, password);
    await until(() => said.split('authentication error').length === 3);
    return said;
  } finally {
    server.kill('SIGTERM');
    await ended;
  }
}

async function freePort() {
  const holder = createServer();
  await new Promise((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address();
  await new Promise((resolve) => holder.close(resolve));
  return port;
}

/** Says who it is, asks for a sign of life, and leaves. */
function login(port, password) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`CONNECT ${JSON.stringify({ user: 'a', pass: password })}\r\nPING\r\n`),
    );
    socket.setTimeout(SERVER_MS, () => socket.destroy(new Error('nats-server answers nothing')));
    socket.on('data', (data) => /PONG|-ERR/.test(data) && socket.end());
    socket.on('error', reject);
    socket.on('close', resolve);
  });
}

async function until(holds) {
  const deadline = Date.now() + SERVER_MS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('nats-server did not say what was expected');
    await sleep(20);
  }
}
