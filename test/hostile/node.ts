/** A real node: nats-server, registry and node-agent as processes. Here also states, events and metrics are seen. */
import { readFileSync } from 'node:fs';
import { bytesOf, type ErrorCode, Fault, NodeAgentConfig, systemClock, type WorkloadStatus, waitUntil } from '@cim/contracts';
import { leafAdminUser } from '@cim/fleet';
import { waitFor } from '@cim/testkit';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { openWorld, type World } from '../world.ts';
import { type End, type Fate, type Hostile, untold } from './case.ts';
import { type CallOutcome, type Subject, until, type Wall } from './judge.ts';
import { readMetrics } from './metrics.ts';
import { MemoryWatch } from './watch.ts';

const INSTANCE = 'cim-hostile';
/** How long an event may take from the node to the suite, ms: where it says what came of a case, and where its coming is judged. */
const TOLD_MS = 2_000;
const EVENT_MS = 10_000;

export interface NodeWall extends Wall, AsyncDisposable {
  readonly world: World;
  readonly instance: string;
  readonly agentUrl: string;
  /** Lets an honest workload in and gives how it is called. */
  neighbour(): Promise<() => Promise<void>>;
  /** Calls of each workload that ended so, as the callers saw it. */
  readonly ended: ReadonlyMap<string, ReadonlyMap<End, number>>;
}

/** An event as it passes over the leaf. */
interface Told {
  readonly type: string;
  readonly workload: string;
  readonly data: { readonly code?: string; readonly ending?: string; readonly detail?: string; readonly limit?: string };
}

export async function nodeWall(): Promise<NodeWall> {
  await using parts = new AsyncDisposableStack();
  const world = parts.use(
    await openWorld({
      instances: [INSTANCE],
      links: 'direct',
      agentConfig: () => ({
        timing: { heartbeat: '1s', resync: '5s', drain: '1s', probe: '1s' },
        sandbox: { spareCells: 4, maxReply: '256Ki', startTimeout: '5s', maxWorkloads: 1000, memory: '64Gi', cpu: '4000' },
      }),
    }),
  );
  const { agent, leaf } = world.member(INSTANCE);
  const user = leafAdminUser(INSTANCE);
  const connection = parts.adopt(
    await connect({ servers: leaf.url, user, pass: world.fleet.secrets.password(user) }),
    (open: NatsConnection) => open.close(),
  );
  const told = listen(connection);
  const memory = new MemoryWatch();
  const cells = setInterval(() => {
    for (const cell of cellsOf(agent.pid)) memory.follow(cell);
  }, 20);
  parts.defer(() => {
    memory.stop();
    clearInterval(cells);
  });
  const ended = new Map<string, Map<End, number>>();
  const pid = agent.pid;
  const all = parts.move();
  const sandbox = NodeAgentConfig.shape.sandbox.parse({});

  const call = async (name: string, input: unknown, budgetMs: number): Promise<CallOutcome> => {
    const outcome = await world
      .call(`${name}.do`, input, { instance: INSTANCE, timeout: `${budgetMs}ms` })
      .then((value): CallOutcome => ({ end: 'answered', value, detail: '' }))
      .catch((error: unknown): CallOutcome => {
        const { code, detail } = Fault.of(error);
        return { end: code, detail };
      });
    const ends = ended.get(name) ?? new Map<End, number>();
    ended.set(name, ends.set(outcome.end, (ends.get(outcome.end) ?? 0) + 1));
    return outcome;
  };
  const statusOf = (name: string) => world.workloadOf(INSTANCE, name);

  const letIn = async (one: Pick<Hostile, 'name' | 'entry' | 'grants' | 'start'>, limits?: Hostile['limits']) => {
    // One that was tried before has been taken away, and may still be on its way out.
    await waitFor(
      async () => [undefined, 'stopped'].includes((await statusOf(one.name))?.state),
      20_000,
      `what was ${one.name} to be gone`,
    );
    await world.publishSource({
      name: one.name,
      entry: one.entry,
      manifest: {
        capabilities: { [`${one.name}.do`]: {} },
        grants: one.grants,
        hooks: { start: one.start },
        ...(limits === undefined
          ? {}
          : {
              configuration: {
                turn: `${limits.turnMs}ms`,
                timeout: `${limits.timeoutMs}ms`,
                maxConcurrent: limits.maxConcurrent,
              },
              resources: { memory: limits.memoryBytes, cpu: `${limits.milliCpu}m` },
            }),
      },
    });
    await world.deploy(one.name, '1.0.0', INSTANCE, { wait: false, isolation: 'dedicated' });
    return waitFor(
      async () => {
        const status = await statusOf(one.name);
        return status && ['ready', 'failed', 'quarantined'].includes(status.state) ? status : undefined;
      },
      45_000,
      `${one.name} to be let in or given up`,
    );
  };

  return {
    world,
    instance: INSTANCE,
    agentUrl: agent.url,
    ended,
    allowanceBytes: bytesOf(sandbox.cellMemoryAllowance),
    alive: () => agent.pid === pid && childrenOf(pid).length > 0,
    async neighbour() {
      const entry = "export default { kind: 'agent', api: 1, capabilities: { 'neighbour.do': { handle: (input) => input } } };";
      await letIn({ name: 'neighbour', entry, grants: {}, start: false });
      return async () => {
        const { end, value, detail } = await call('neighbour', 'well', 10_000);
        if (value !== 'well') throw new Error(`${end}: ${detail}`);
      };
    },
    async open(one) {
      const status = await letIn(one, one.limits);
      if (status.state !== 'ready') {
        const limit = limitOf(one.name);
        const code = (limit?.data.code ?? status.reason?.code ?? 'internal') as ErrorCode;
        const detail = limit?.data.detail ?? status.reason?.detail ?? '';
        return { refused: new Fault(code, detail), fate: fateOfState(status, limit) };
      }
      return subjectOf(one);
    },
    async aftermath(one, met, fate) {
      const problems: string[] = [];
      const status = await statusOf(one.name);
      // An event takes its way over the leaf's own stream: on a crowded machine the workload's state is there before it.
      const missing = async (type: string) =>
        !(await waitUntil(systemClock, EVENT_MS, () =>
          told.some((event) => event.type === type && event.workload === one.name),
        ));
      if (one.strikes === 'load') {
        const state = fate === 'faulted' ? 'failed' : 'quarantined';
        if (status?.state !== state) problems.push(`is ${status?.state}, expected ${state}`);
        if (status?.reason === undefined) problems.push(`is ${status?.state} without a reason`);
        if (await missing('agent.failed')) problems.push('gave up without an event');
      } else {
        if (status?.state !== 'ready') problems.push(`is ${status?.state} (${status?.reason?.detail}), expected ready`);
        if (fate !== 'lives' && (await missing('agent.restarted'))) problems.push('was restarted without an event');
      }
      const limit = fate === 'out-of-memory' || fate === 'out-of-time';
      if (limit && (await missing('node.limit-hit'))) problems.push('went over a limit without an event');
      const limits = () => told.filter(({ type, workload }) => type === 'agent.limit-hit' && workload === one.name);
      const notTold = () => untold(one, met, fate, new Set(limits().map(({ data }) => data.limit ?? '')));
      await waitUntil(systemClock, EVENT_MS, () => notTold().length === 0);
      problems.push(...notTold());
      const counts = await readMetrics(agent.url);
      for (const { data } of limits()) {
        if (data.limit && counts.count('cim_workload_limit_hits_total', { workload: one.name, limit: data.limit }) === 0)
          problems.push(`the limit ${data.limit} was not counted`);
      }
      await world.alchemist.undeploy({ name: one.name, instance: INSTANCE, kind: 'agent', wait: false });
      return problems;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };

  function limitOf(name: string): Told | undefined {
    return told.find(({ type, workload }) => type === 'node.limit-hit' && workload === name);
  }

  function subjectOf(one: Hostile): Subject {
    const { name } = one;
    const restartsOf = async () => (await statusOf(name))?.restarts ?? 0;
    const pids = cellsOf(pid);
    return {
      call: (input, budgetMs) => call(name, input, budgetMs),
      async fate(expected, withinMs) {
        const fate = async (): Promise<Fate> => {
          if (limitOf(name) === undefined && (await restartsOf()) === 0) return 'lives';
          // The event is on its way when the restart shows.
          await until(() => limitOf(name) !== undefined, TOLD_MS);
          return (limitOf(name)?.data.ending as Fate | undefined) ?? 'cell-died';
        };
        if (expected.includes('lives')) return fate();
        return waitFor(async () => ((await fate()) === 'lives' ? undefined : fate()), withinMs, `${name} to end`).catch(fate);
      },
      async well() {
        // A restart takes a moment; a caller that tries again meanwhile is told so, and is answered after it.
        let last: CallOutcome = { end: 'workload-not-ready', detail: 'not asked' };
        await waitFor(
          async () => {
            last = await call(name, 'well', 5_000);
            return last.value === 'well' && (await statusOf(name))?.state === 'ready';
          },
          10_000,
          `${name} to answer again`,
        ).catch(() => {});
        return last;
      },
      peakBytes: () => Math.max(0, ...pids.map((one) => memory.letGo(one))),
      close: async () => {},
    };
  }
}

/** Endings of workloads as the leaf's stream is told of them. */
function listen(connection: NatsConnection): Told[] {
  const told: Told[] = [];
  connection.subscribe(`cim.v1.evt.${INSTANCE}.>`, {
    callback: (error, message) => {
      if (error) return;
      const { type, subject, data } = message.json<{ type: string; subject?: string; data?: Told['data'] }>();
      told.push({ type, workload: subject ?? '', data: data ?? {} });
    },
  });
  return told;
}

/** How the state of a workload that did not start reads as an ending. */
function fateOfState({ state }: WorkloadStatus, limit: Told | undefined): Fate {
  if (state === 'quarantined') return (limit?.data.ending ?? 'out-of-time') as Fate;
  return 'faulted';
}

/** The cells: what the node-agent's main thread has started, or what a guardian it has started holds. */
function cellsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => {
    const inner = childrenOf(child);
    return inner.length === 0 ? [child] : inner;
  });
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Calls of the suite that the node's own metrics do not show under the outcome their callers saw. */
export async function uncounted({ agentUrl, ended }: NodeWall): Promise<string[]> {
  const metrics = await readMetrics(agentUrl);
  const missing: string[] = [];
  for (const [workload, ends] of ended) {
    for (const [end, times] of ends) {
      const outcome = end === 'answered' ? 'ok' : end;
      const counted = metrics.count('cim_calls_total', { workload, outcome });
      // What a caller stopped waiting for may have ended otherwise, and what met nobody ready is nobody's.
      if (counted === 0 && !['deadline-exceeded', 'capability-unknown', 'workload-not-ready'].includes(end))
        missing.push(`${workload} ended ${times} times in ${end}, cim_calls_total has none`);
    }
  }
  return missing;
}
