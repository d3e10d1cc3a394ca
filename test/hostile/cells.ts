/** The wall itself: the sandbox in this process, with real cells. Where hostile bundles are cheap to try. */
import { bytesOf, Fault, Manifest, NodeAgentConfig, type PublicKey, silentLogger, systemClock } from '@cim/contracts';
import { asVerified, type VerifiedBundle } from '../../packages/node-agent/src/bundle/verified.ts';
import type { LimitName } from '../../packages/node-agent/src/core/limit-names.ts';
import { createHostDoor } from '../../packages/node-agent/src/host/host-door.ts';
import { createSandbox, type SandboxOptions } from '../../packages/node-agent/src/sandbox/pool.ts';
import type { HostDoor, Isolate, OpenOptions, Sandbox } from '../../packages/node-agent/src/sandbox/sandbox.ts';
import { type Fate, type Hostile, untold } from './case.ts';
import { type CallOutcome, type Subject, until, type Wall } from './judge.ts';
import { MemoryWatch } from './watch.ts';

const publisher = (letter: string) => `A${letter.repeat(55)}` as PublicKey;

export interface CellWall extends Wall, AsyncDisposable {
  readonly sandbox: Sandbox;
  /** Opens an honest echo of another publisher. */
  neighbour(): Promise<Isolate>;
}

export async function cellWall(config: object = {}, options: Partial<SandboxOptions> = {}): Promise<CellWall> {
  const settings = NodeAgentConfig.shape.sandbox.parse({
    cgroup: 'off',
    spareCells: 4,
    maxReply: '256Ki',
    startTimeout: '5s',
    ...config,
  });
  const sandbox = createSandbox({ clock: systemClock, log: silentLogger, config: settings, ...options });
  await sandbox.start();
  const memory = new MemoryWatch();
  return {
    sandbox,
    allowanceBytes: bytesOf(settings.cellMemoryAllowance),
    alive: () => true,
    aftermath: async (one, met, fate) => untold(one, met, fate, limitsHit(one.name)),
    neighbour: () => openHonest(sandbox),
    async open(one) {
      try {
        const isolate = await open(sandbox, one, 'A');
        return subjectOf(sandbox, one, isolate, memory);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        return { refused: error, fate: fateOfStart(error) };
      }
    },
    async [Symbol.asyncDispose]() {
      memory.stop();
      await sandbox.stop(500);
    },
  };
}

/** How the supervisor reads a start that failed. */
const fateOfStart = ({ code }: Fault): Fate =>
  code === 'turn-exceeded' ? 'out-of-time' : code === 'out-of-memory' ? 'out-of-memory' : 'faulted';

const honest: Pick<Hostile, 'name' | 'entry' | 'limits' | 'grants' | 'start' | 'host'> = {
  name: 'neighbour',
  entry: "export default { kind: 'agent', api: 1, capabilities: { 'neighbour.do': { handle: (input) => input } } };",
  limits: { turnMs: 500, timeoutMs: 10_000, memoryBytes: 64 * 2 ** 20, milliCpu: 4_000, maxConcurrent: 16 },
  grants: {},
  start: false,
  host: {},
};

const open = (sandbox: Sandbox, one: typeof honest, letter: string): Promise<Isolate> => sandbox.open(optionsOf(one, letter));

/** What a sandbox, or a cell, is told of an honest workload of that name. */
export const openingFor = (name: string): OpenOptions => optionsOf({ ...honest, name }, 'A');

function optionsOf(one: typeof honest, letter: string): OpenOptions {
  const manifest = Manifest.parse({
    api: 1,
    name: one.name,
    version: '1.0.0',
    kind: 'agent',
    capabilities: { [`${one.name}.do`]: {} },
    grants: one.grants,
    hooks: { start: one.start },
  });
  const id = { instance: 'cim-hostile', kind: 'agent', name: one.name, version: '1.0.0', replica: 0 } as const;
  return {
    id,
    bundle: asVerified({
      statement: {} as VerifiedBundle['statement'],
      manifest,
      publisher: { name: 'test', key: publisher(letter) },
      entry: one.entry,
      sourceMap: undefined,
      asset: async () => undefined,
    }),
    limits: { ...one.limits, storageBytes: 2 ** 20 },
    isolation: 'dedicated',
    config: {},
    host: doorOf(one, manifest, id),
  };
}

/** The node's own door, so that what it checks and refuses is tried too; behind it a memory that takes everything. */
function doorOf({ host }: Pick<Hostile, 'host'>, manifest: Manifest, id: Parameters<typeof createHostDoor>[0]['id']): HostDoor {
  const behind = async (operation: string, ...args: unknown[]): Promise<any> => host[operation]?.(args);
  const door = createHostDoor({
    id,
    manifest,
    kv: {
      entry: async (key) => ({ value: await behind('kv.get', key), revision: 1 }),
      put: async () => 1,
      create: async () => 1,
      update: async () => 1,
      delete: async () => null,
      keys: async () => [],
    },
    asset: async () => undefined,
    ports: {
      clock: systemClock,
      call: () => Promise.reject(new Fault('capability-unknown', 'nobody is here')),
      publish: async () => {},
      emit: () => {},
      secret: () => Promise.reject(new Fault('secret-missing', 'there are none')),
      log: () => {},
      metric: () => {},
      limit: (of, limit) => void limitsHit(of.name).add(limit),
      rates: usual.rates,
      maxValue: bytesOf(usual.maxValue),
      maxFetches: usual.maxFetches,
    },
  });
  return door;
}

const usual = NodeAgentConfig.shape.sandbox.parse({});
/** Limits that bundles ran into, by their names. */
const hits = new Map<string, Set<LimitName>>();
function limitsHit(name: string): Set<LimitName> {
  const found = hits.get(name) ?? new Set();
  hits.set(name, found);
  return found;
}

let calls = 0;

async function ask(isolate: Isolate, name: string, input: unknown, budgetMs: number): Promise<CallOutcome> {
  calls += 1;
  try {
    const text = await isolate.call({
      callId: `call-${calls}`,
      capability: `${name}.do`,
      input: JSON.stringify(input),
      budgetMs,
      correlationId: 'hostile',
    });
    return { end: 'answered', value: JSON.parse(text.toString()), detail: '' };
  } catch (error) {
    if (error instanceof Fault) return { end: error.code, detail: error.detail };
    throw error;
  }
}

/** Opens a case's bundle. @throws Fault */
export const isolateOf = (
  sandbox: Sandbox,
  one: Hostile,
  isolation: OpenOptions['isolation'] = 'dedicated',
): Promise<Isolate> => sandbox.open({ ...optionsOf(one, 'A'), isolation });

/** Opens an honest echo. */
export const openHonest = (sandbox: Sandbox): Promise<Isolate> => open(sandbox, honest, 'B');

/** Asks an honest isolate. @throws when it does not answer what it was given */
export async function askHonest(isolate: Isolate): Promise<void> {
  const { value, end, detail } = await ask(isolate, 'neighbour', 'well', 5_000);
  if (value !== 'well') throw new Error(`${end}: ${detail}`);
}

const WELL_MS = 5_000;

function subjectOf(sandbox: Sandbox, one: Hostile, first: Isolate, memory: MemoryWatch): Subject {
  let isolate = first;
  let exit: Fate | undefined;
  const pids = [first.cellPid];
  memory.follow(first.cellPid);
  void first.exited.then(({ kind }) => {
    if (kind !== 'closed') exit = kind;
  });
  return {
    call: (input, budgetMs) => ask(isolate, one.name, input, budgetMs),
    async fate(expected, withinMs) {
      if (!expected.includes('lives')) await until(() => exit !== undefined, withinMs);
      return exit ?? 'lives';
    },
    async well() {
      const seen = exit;
      const answer = exit === undefined ? await ask(isolate, one.name, 'well', WELL_MS) : undefined;
      // What ended between the question and its answer is made anew, as the supervisor would.
      if (answer !== undefined && exit === seen) return answer;
      isolate = await open(sandbox, one, 'A');
      return ask(isolate, one.name, 'well', WELL_MS);
    },
    peakBytes: () => Math.max(...pids.splice(0).map((pid) => memory.letGo(pid))),
    async close() {
      for (const pid of pids.splice(0)) memory.letGo(pid);
      await isolate.close(0);
    },
  };
}
