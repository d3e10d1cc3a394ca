/**
 * Hub and leaf as the modules render them, as two real nats-servers on loopback: the leaf joins with a secret, a client without one is
 * refused, a subject nobody was granted is refused.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

const JOIN_MS = 15_000;
const STEP_MS = 50;
const ANSWER_MS = 5_000;

/** @returns {Promise<number>} a port nobody listens on now */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** Says CONNECT and PING to a server and waits for its verdict. @returns {Promise<string>} what came until PONG, an error or the end */
function dialogue(port, hello, then = '') {
  return new Promise((resolve, reject) => {
    let said = '';
    const socket = connect(port, '127.0.0.1');
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(said);
    };
    const timer = setTimeout(end, ANSWER_MS);
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.on('close', end);
    socket.on('data', (data) => {
      const before = said;
      said += data;
      if (!before.includes('INFO') && said.includes('INFO'))
        socket.write(`CONNECT ${JSON.stringify({ verbose: false, ...hello })}\r\n${then}PING\r\n`);
      if (/PONG|-ERR 'Authorization/.test(said)) end();
    });
  });
}

/**
 * @param {{ scratch: string, nats: string, render: (ports: Record<string, number>) => Promise<{ hub: string, leaf: string }> }} given
 *   `render`: texts of both nats.conf for these ports
 */
export async function joinOnLoopback({ scratch, nats, render }) {
  const ports = {};
  for (const name of ['hub', 'hubHttp', 'leafnode', 'leaf', 'leafHttp']) ports[name] = await freePort();
  const texts = await render(ports);
  const children = [];
  try {
    for (const [name, secrets] of Object.entries({
      hub: ['leaf-minimal', 'leaf-password', 'registry-password'].map((value, index) => `CIM_PASSWORD_${index}: "${value}"`),
      leaf: [
        'CIM_PASSWORD_0: "operator"',
        'CIM_PASSWORD_1: "node-agent"',
        `CIM_REMOTE_0_URL: "nats://cim-prod-001:leaf-password@127.0.0.1:${ports.leafnode}"`,
      ],
    })) {
      const top = join(scratch, 'join', name);
      for (const folder of ['etc/nats', 'run/nats', 'store']) mkdirSync(join(top, folder), { recursive: true });
      writeFileSync(join(top, 'run/nats/secrets.conf'), `${secrets.join('\n')}\n`);
      const file = join(top, 'etc/nats/nats.conf');
      writeFileSync(file, texts[name].replaceAll('"/var/lib/nats"', JSON.stringify(join(top, 'store'))));
      const child = spawn(nats, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] });
      children.push(child);
      child.words = '';
      child.stderr.on('data', (data) => {
        child.words += data;
      });
    }
    const deadline = Date.now() + JOIN_MS;
    let leafs = [];
    while (leafs.length === 0) {
      if (Date.now() > deadline || children.some((child) => child.exitCode !== null))
        throw new Error(
          `the leaf did not join:\n${children.map((child) => child.words.trim().split('\n').slice(-6).join('\n')).join('\n--\n')}`,
        );
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
      leafs = await fetch(`http://127.0.0.1:${ports.hubHttp}/leafz`)
        .then((answer) => answer.json())
        .then((page) => page.leafs ?? [])
        .catch(() => []);
    }
    if (leafs[0].name !== 'cim-prod-001') throw new Error(`the leaf calls itself ${leafs[0].name}`);
    const wrong = [];
    const expect = async (what, port, hello, then, pattern) => {
      const said = await dialogue(port, hello, then);
      if (!pattern.test(said)) wrong.push(`${what}: ${said.split('\r\n').slice(1).join(' ').trim() || 'no answer'}`);
    };
    const refused = /-ERR 'Authorization Violation'/;
    const guide = { user: 'cim-agent', pass: 'operator' };
    await expect('nobody on the hub', ports.hub, {}, '', refused);
    await expect('a leaf with an empty password', ports.hub, { user: 'cim-prod-001', pass: '' }, '', refused);
    await expect("the guide's user with an empty password", ports.leaf, { user: 'cim-agent', pass: '' }, '', refused);
    await expect(
      "the guide's user with its password",
      ports.leaf,
      guide,
      'PUB agent.x 0\r\n\r\n',
      /INFO[^\n]*\n(?!-ERR)[\s\S]*PONG/,
    );
    await expect(
      "the guide's user on a foreign subject",
      ports.leaf,
      guide,
      'PUB foo 0\r\n\r\n',
      /Permissions Violation for Publish to "foo"/,
    );
    await expect(
      'the node-agent',
      ports.leaf,
      { user: 'cim-node-agent', pass: 'node-agent' },
      'PUB foo 0\r\n\r\n',
      /INFO[^\n]*\n(?!-ERR)[\s\S]*PONG/,
    );
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
    return 'leaf joined, 6 logins as they should be';
  } finally {
    await Promise.all(children.map(stop));
  }
}

/** Ends one server of ours and waits until it is gone. */
function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return undefined;
  return new Promise((resolve) => {
    const killer = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS);
    child.once('exit', () => {
      clearTimeout(killer);
      resolve(undefined);
    });
    child.kill('SIGTERM');
  });
}
