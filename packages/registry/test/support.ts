/**
 * A hub and real registry processes beside it, with the users and permissions of a fleet, for the tests of this package.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  cimEvent,
  type DesiredRecord,
  type Digest,
  inboxPrefix,
  type NodeStatus,
  type Problem,
  type Role,
  systemClock,
  withDeadline,
} from '@cim/contracts';
import { natsServer, type TestBundle, type TestNats, temporaryDirectory, testPublisher } from '@cim/testkit';
import { connect, type NatsConnection } from '@nats-io/transport-node';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
/** Of every user of these tests. */
export const PASSWORD = 'a-password-of-tests';
export const roles = ['viewer', 'publisher', 'operator', 'admin'] as const satisfies readonly Role[];
/** Tokens of the tests are the names of the roles, lengthened. */
export const tokenOf = (role: string) => `token-of-${role}`;
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

export interface Answer<T = any> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export interface RegistryProcess extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly process: ChildProcess;
  /** Lines of its log so far. */
  readonly log: readonly string[];
  /** Sends a request as `role` (none when null) and reads JSON. */
  ask<T = any>(method: string, path: string, options?: AskOptions): Promise<Answer<T>>;
  publish(bundle: TestBundle, options?: { channel?: string; role?: string; bytes?: Uint8Array }): Promise<Answer>;
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

export interface AskOptions {
  readonly role?: string | null;
  readonly body?: unknown;
  readonly raw?: string | Uint8Array;
  readonly headers?: Record<string, string>;
}

export interface World extends AsyncDisposable {
  readonly nats: TestNats;
  readonly directory: string;
  readonly tokensFile: string;
  /** Everything allowed, on the hub. */
  readonly admin: NatsConnection;
  registry(overlay?: Record<string, unknown>): Promise<RegistryProcess>;
}

const parties = [
  { user: 'registry', password: PASSWORD, party: { party: 'registry', id: 'registry' } },
  { user: 'admin', password: PASSWORD },
] as const;

export async function world(): Promise<World> {
  await using parts = new AsyncDisposableStack();
  const directory = parts.use(temporaryDirectory('cim-registry')).path;
  const nats = parts.use(await natsServer({ users: parties }));
  const admin = await connect({
    servers: nats.url,
    user: 'admin',
    pass: PASSWORD,
    inboxPrefix: inboxPrefix('alchemist', 'admin'),
    reconnectTimeWait: 50,
    maxReconnectAttempts: -1,
  });
  parts.defer(() => admin.close());
  const tokensFile = join(directory, 'tokens.json');
  writeTokens(
    tokensFile,
    roles.map((role) => [role, [role]]),
  );
  writeFileSync(join(directory, 'password'), `${PASSWORD}\n`);
  const all = parts.move();
  let count = 0;
  return {
    nats,
    directory,
    tokensFile,
    admin,
    async registry(overlay = {}) {
      const started = await startProcess(join(directory, `registry-${count++}`), {
        nats: { url: nats.url, user: 'registry', passwordFile: '../password' },
        http: { port: 0 },
        tokensFile: '../tokens.json',
        trust: { publishers: [{ name: 'test', key: testPublisher().publicKey }] },
        log: { level: 'debug' },
        ...overlay,
      });
      all.use(started);
      return started;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

export function writeTokens(file: string, tokens: readonly (readonly [name: string, roles: readonly Role[]])[]): void {
  writeFileSync(
    file,
    JSON.stringify({ tokens: tokens.map(([name, has]) => ({ name, sha256: sha256(tokenOf(name)), roles: has })) }),
  );
}

/** The program, run as it is run anywhere: its exit code and all it wrote. */
export async function runMain(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const code = await withDeadline(systemClock, 20_000, 'the program', () => ended(child));
  return { code: typeof code === 'number' ? code : null, stdout, stderr };
}

async function startProcess(directory: string, config: Record<string, unknown>): Promise<RegistryProcess> {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, 'registry.json');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(process.execPath, [MAIN, '--config', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  const log: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => log.push(line));
  const exit = ended(child);
  const line = await withDeadline(systemClock, 30_000, 'the registry to be ready', () =>
    Promise.race([
      new Promise<string>((resolve) => createInterface({ input: child.stdout! }).once('line', resolve)),
      exit.then((code) => Promise.reject(new Error(`the registry ended (${code}):\n${log.join('\n')}`))),
    ]),
  );
  const { url, pid, ready } = JSON.parse(line) as { url: string; pid: number; ready: boolean };
  if (!ready || pid !== child.pid) throw new Error(`the ready line says ${line}`);
  const ask: RegistryProcess['ask'] = async (method, path, { role = 'admin', body, raw, headers } = {}) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(role === null ? {} : { authorization: `Bearer ${tokenOf(role)}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(raw === undefined ? {} : { body: raw as Buffer<ArrayBuffer>, duplex: 'half' }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await answer.text();
    let parsed: unknown = text;
    try {
      parsed = JSON.parse(text);
    } catch {
      // Not JSON: the text is the body.
    }
    return { status: answer.status, headers: answer.headers, body: parsed as any };
  };
  return {
    url,
    pid,
    process: child,
    log,
    ask,
    publish: ({ envelope, bytes }, options = {}) =>
      ask('POST', `/api/v1/bundles${options.channel === undefined ? '' : `?channel=${options.channel}`}`, {
        role: options.role ?? 'publisher',
        raw: options.bytes ?? bytes,
        headers: publishHeaders(envelope),
      }),
    async kill(signal) {
      child.kill(signal);
      return withDeadline(systemClock, 25_000, 'the registry to end', () => exit);
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await exit;
    },
  };
}

const ended = (child: ChildProcess) =>
  new Promise<number | NodeJS.Signals>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal!)));

export const publishHeaders = (envelope: unknown) => ({
  'content-type': 'application/vnd.cim.bundle',
  'cim-envelope': Buffer.from(JSON.stringify(envelope)).toString('base64'),
});

/** A desired document of a published bundle. */
export function desiredFor(bundle: TestBundle, over: Record<string, unknown> = {}): DesiredRecord {
  const { name, kind, version, digest, size } = bundle.statement;
  return {
    document: {
      api: 1,
      instance: 'cim-a',
      kind,
      name,
      generation: 1,
      state: 'running',
      bundle: { version, digest, size, envelope: bundle.envelope },
      replicas: 1,
      isolation: 'shared',
      resources: {},
      configuration: {},
      config: {},
      rollback: false,
      issuedAt: '2026-01-01T00:00:00.000Z',
      issuedBy: 'a test',
      ...over,
    },
    signatures: [],
  } as unknown as DesiredRecord;
}

export const desiredPath = ({ document: { instance, kind, name } }: DesiredRecord) =>
  `/api/v1/desired/${instance}/${kind}/${name}`;

/** A status as a node would write it. */
export function nodeStatus(instance: string, over: Partial<NodeStatus> = {}): NodeStatus {
  const at = new Date().toISOString();
  return {
    api: 1,
    instance: instance as NodeStatus['instance'],
    name: instance,
    capabilities: [],
    offers: [],
    machine: {
      arch: 'x64',
      kernel: '6',
      os: 'nixos',
      cores: 2,
      memoryBytes: 1,
      memoryFreeBytes: 1,
      diskBytes: 1,
      diskFreeBytes: 1,
      loadAverage: 0,
      gpus: [],
      versions: {},
    },
    phase: 'running',
    health: 'healthy',
    conditions: [],
    workloads: [],
    limits: 'watchdog',
    startedAt: at,
    at,
    heartbeatSeconds: 10,
    ...over,
  };
}

/** What a node reports of a workload. */
export const workloadStatus = (name: string, digest: Digest, generation: number, converged = true) =>
  ({
    kind: 'agent',
    name,
    digest,
    state: 'ready',
    generation,
    converged,
    replicas: { desired: 1, ready: 1 },
    restarts: 0,
    isolation: 'shared',
    capabilities: [],
    calls: { total: 0, failed: 0, inFlight: 0 },
    since: new Date().toISOString(),
  }) as unknown as NodeStatus['workloads'][number];

/** An event of an instance, put into the hub's stream as its node-agent would. @returns its sequence */
export async function emit(
  admin: NatsConnection,
  instance: string,
  type: string,
  id: string,
  data: unknown = {},
): Promise<number> {
  const event = cimEvent({ instance, part: 'test', type, subject: id, data }, Date.now());
  const [entity, name] = type.split('.');
  const ack = await admin.request(`cim.v1.fwd.${instance}.${entity}.${id}.${name}`, JSON.stringify(event), { timeout: 5_000 });
  return ack.json<{ seq: number }>().seq;
}

/** The problem of an answer, with what the answer was when it is none. */
export function problemOf(answer: Answer): Problem {
  if (!String(answer.headers.get('content-type')).startsWith('application/problem+json'))
    throw new Error(`expected a problem, found ${answer.status} ${JSON.stringify(answer.body).slice(0, 500)}`);
  return answer.body as Problem;
}

/** `202`, or `409 conflict`: what an answer was, for comparing. */
export const outcome = (answer: Answer): string =>
  answer.status < 400 ? `${answer.status}` : `${answer.status} ${problemOf(answer).code}`;
