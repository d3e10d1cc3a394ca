/**
 * Hub and leaf as the modules render them, as real processes on loopback: two nats-servers, the registry and the node-agent with their
 * rendered configurations. The leaf joins with a secret, the node-agent finds the hub with the permissions the module grants it, a client
 * without a secret is refused, and so is a subject nobody was granted.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

const JOIN_MS = 30_000;
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
 * @param {{ scratch: string, nats: string, node: string, programs: { registry: string, agent: string },
 *   render: (ports: Record<string, number>) => Promise<Record<'hub' | 'leaf' | 'registry' | 'agent', string>> }} given
 *   `render`: texts of both nats.conf and of both configurations for these ports; `node`: the Node of the daemons
 */
export async function joinOnLoopback({ scratch, nats, node, programs, render }) {
  const ports = {};
  for (const name of ['hub', 'hubHttp', 'leafnode', 'leaf', 'leafHttp', 'registry', 'agent']) ports[name] = await freePort();
  const texts = await render(ports);
  const children = [];
  // A check that is cut short leaves no server behind.
  const kill = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  process.once('exit', kill);
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
      children.push(start(nats, ['-c', file]));
    }
    let leafs = [];
    await until('the leaf', children, async () => {
      leafs = await fetch(`http://127.0.0.1:${ports.hubHttp}/leafz`)
        .then((answer) => answer.json())
        .then((page) => page.leafs ?? [])
        .catch(() => []);
      return leafs.length === 0 ? 'has not joined the hub' : undefined;
    });
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
    for (const [name, password] of [
      ['registry', 'registry-password'],
      ['agent', 'node-agent'],
    ]) {
      const top = join(scratch, 'join', name);
      mkdirSync(top, { recursive: true });
      writeFileSync(join(top, 'nats-password'), password);
      writeFileSync(join(top, 'tokens.json'), '{"tokens":[]}');
      // Only places of the machine are put elsewhere; everything else is what the machine would read.
      const text = texts[name]
        .replaceAll(/\/run\/credentials\/cim-[a-z-]+\.service/g, top)
        .replaceAll('/etc/cim/tokens.json', join(top, 'tokens.json'))
        .replaceAll('/var/lib/cim-agent', join(top, 'state'));
      writeFileSync(join(top, 'config.json'), text);
      children.push(start(node, ['--no-node-snapshot', programs[name], '--config', join(top, 'config.json')]));
    }
    await until('the registry and the node-agent', children, async () => {
      const health = await fetch(`http://127.0.0.1:${ports.agent}/health`)
        .then((answer) => answer.json())
        .catch(() => undefined);
      const registry = await fetch(`http://127.0.0.1:${ports.registry}/health`)
        .then((answer) => answer.status)
        .catch(() => 0);
      const codes = (health?.conditions ?? []).map(({ code }) => code);
      if (health === undefined || registry !== 200 || codes.some((code) => /unreachable|offline|refused/.test(code)))
        return `node-agent ${JSON.stringify(health?.status)} ${codes.join(', ')}, registry ${registry}`;
      return undefined;
    });
    return 'leaf joined, 6 logins as they should be, registry and node-agent up and the hub reached';
  } finally {
    await Promise.all(children.map(stop));
    process.off('exit', kill);
  }
}

/** A process of ours, with the end of what it says. */
function start(program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  child.words = '';
  child.stderr.on('data', (data) => {
    child.words = `${child.words}${data}`.slice(-4_000);
  });
  return child;
}

/** Waits until `look` has nothing to complain of any more. */
async function until(what, children, look) {
  const deadline = Date.now() + JOIN_MS;
  for (let complaint = await look(); complaint !== undefined; complaint = await look()) {
    if (Date.now() > deadline || children.some((child) => child.exitCode !== null)) {
      const words = children.map((child) => child.words.trim().split('\n').slice(-6).join('\n'));
      throw new Error(`${what}: ${complaint}\n${words.join('\n--\n')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
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
