/**
 * The sandbox: cells, who is in which, and the spare ones kept warm. The one door to it is {@link createSandbox}.
 *
 * Promises:
 * S1. Two publishers never share a cell, and a cell that has held code is never given to anyone else.
 * S2. A start takes a warm cell when there is one; the next spare is made in the background, a moment later.
 * S3. Every cell is watched from outside (see watchdog.ts) whatever the kernel enforces besides; `limits` says which it is.
 */
import {
  bytesOf,
  type Clock,
  DeadlineError,
  Fault,
  type LayerState,
  type Logger,
  msOf,
  type NodeAgentConfig,
  type Timer,
  withDeadline,
} from '@cim/contracts';
import { surroundings } from '../surroundings.ts';
import { createLauncher, ownRssBytes } from './cell/launch.ts';
import { Cell } from './cell.ts';
import { type CgroupPlaces, type Cgroups, findCgroups } from './cgroup.ts';
import { languageOf } from './opening.ts';
import { passivating } from './passive.ts';
import { createOwnStanding } from './priority.ts';
import type { Replica } from './replica.ts';
import type { Inspection, Isolate, OpenOptions, Sandbox } from './sandbox.ts';
import { pageBytes } from './watchdog.ts';

export interface SandboxOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly config: NodeAgentConfig['sandbox'];
  /** The program of a cell; default: the one this package was built with. */
  readonly cellEntry?: string;
  /** Where cgroups are looked for; default: the machine's. */
  readonly cgroup?: CgroupPlaces;
}

/** Isolates of one publisher in one cell, and what their limits may add up to. */
const MOST_ISOLATES = 64;
const MOST_MEMORY = 8 * 2 ** 30;
const LOOK_MS = 100;
/** Every so many looks also idle cells are looked at and heaps are measured. */
const FULL_LOOK = 10;
/** How long the end of killed cells is waited for when the sandbox stops: the kernel ends them with the launcher. */
const COLLECT_MS = 5_000;
/** Spares that fail to start are not tried for ever. */
const SPARE_RETRY_MS = 5_000;
/** How long after an opening the next spare is made, ms: what was opened answers its first call before that takes a core from it. */
const SPARE_AFTER_MS = 50;

export function createSandbox({ clock, log, config, cellEntry, cgroup }: SandboxOptions): Sandbox {
  const launcher = createLauncher({
    clock,
    entry: cellEntry,
    isolation: config.isolation,
    bwrap: config.bwrap,
    path: surroundings().path,
  });
  const found = config.cgroup === 'off' ? { missing: 'switched off in the configuration' } : findCgroups(cgroup);
  const cgroups: Cgroups | undefined = 'create' in found ? found : undefined;
  const startMs = msOf(config.startTimeout);
  const page = pageBytes(ownRssBytes());
  const maxReply = bytesOf(config.maxReply);
  const allowanceBytes = bytesOf(config.cellMemoryAllowance);
  const allJitless = config.jitless === 'all';
  const layers: readonly LayerState[] = [
    ...launcher.layers,
    'missing' in found
      ? { layer: 'cgroup', active: false, detail: `${found.missing}; a watchdog keeps memory and cpu` }
      : { layer: 'cgroup', active: true, detail: 'memory, cpu and number of threads of each cell, kept by the kernel' },
    { layer: 'jitless', active: allJitless, detail: jitlessDetail(config) },
  ];
  const cells = new Set<Cell>();
  const spares = new Set<Cell>();
  const own = createOwnStanding(clock);
  let made = 0;
  let looks = 0;
  let watch: Timer | undefined;
  let refill: Timer | undefined;
  let topUp: Timer | undefined;
  let phase: 'new' | 'running' | 'stopped' = 'new';
  let emptied: () => void = () => {};

  function make(jitless: boolean): Cell {
    made += 1;
    const group = cgroups?.create(`cell-${surroundings().pid}-${made}`);
    const started = launcher.launch(jitless, group?.door);
    const cell = new Cell({
      process: started,
      jitless,
      debug: config.debug,
      clock,
      log,
      group,
      maxReply,
      allowanceBytes,
      page,
      startMs,
      computes: own.computes,
      onEnd(ended) {
        cells.delete(ended);
        if (spares.delete(ended)) later();
        if (cells.size === 0) emptied();
      },
    });
    cells.add(cell);
    return cell;
  }

  function keepSpares(): void {
    while (phase === 'running' && spares.size < config.spareCells) spares.add(make(allJitless));
  }
  function topUpSoon(): void {
    if (phase !== 'running' || spares.size >= config.spareCells) return;
    topUp ??= clock.after(SPARE_AFTER_MS, () => {
      topUp = undefined;
      keepSpares();
    });
  }
  /** After a spare has died: not at once, or a cell that cannot start would be started without end. */
  function later(): void {
    if (phase !== 'running') return;
    refill?.cancel();
    refill = clock.after(SPARE_RETRY_MS, keepSpares);
  }

  function place({ bundle, isolation: asked, limits }: OpenOptions): Cell {
    // One that is held by a debugger must not hold others.
    const isolation = config.debug ? 'dedicated' : asked;
    const publisher = bundle.publisher.key;
    const jitless = allJitless || config.jitlessPublishers.includes(bundle.publisher.name);
    if (isolation === 'shared') {
      for (const cell of cells) {
        if (
          cell.publisher !== publisher ||
          cell.jitless !== jitless ||
          cell.dedicated ||
          cell.ended ||
          cell.isolates + cell.reserved >= MOST_ISOLATES
        )
          continue;
        if (cell.limits.memoryBytes + limits.memoryBytes <= MOST_MEMORY) return cell;
      }
    }
    let taken: Cell | undefined;
    for (const spare of spares) {
      if (spare.ended || spare.jitless !== jitless) continue;
      taken = spare;
      break;
    }
    if (taken) spares.delete(taken);
    const cell = taken ?? make(jitless);
    cell.publisher = publisher;
    cell.dedicated = isolation === 'dedicated';
    return cell;
  }

  /** A cell that nobody's code was in, since it was not ready in time for whoever wanted it, is as good as any spare. */
  function giveBack(cell: Cell): void {
    if (!cell.untouched() || phase !== 'running' || spares.size >= 2 * config.spareCells) {
      cell.kill('unused', 'nothing was started in it');
      return;
    }
    cell.publisher = undefined;
    cell.dedicated = false;
    spares.add(cell);
  }

  async function open(options: OpenOptions): Promise<Isolate> {
    if (phase !== 'running') throw new Fault('workload-not-ready', 'the sandbox is not running');
    const { name } = options.id;
    const refused = languageOf(options.bundle.manifest).filter((part) => !config.allow.includes(part));
    if (refused.length > 0)
      throw new Fault('policy-refused', `${name} asks for grants.${refused.join(', grants.')}; sandbox.allow has it not`);
    const end = clock.monotonic() + startMs;
    const cell = place(options);
    let replica: Replica | undefined;
    cell.reserved += 1;
    try {
      const opening = withDeadline(clock, startMs, `opening ${name}`, async (signal) => {
        await cell.ready;
        replica = await cell.open(options, signal);
        return replica;
      });
      const opened = await opening;
      try {
        await opened.begin(Math.max(1, end - clock.monotonic()));
      } catch (error) {
        const fault = startFault(Fault.of(error));
        if (fault.code === 'deadline-exceeded') options.host.limit?.('start', `${name}: ${fault.detail}`, 1);
        throw fault;
      }
      if (config.debug) debuggable(opened);
      return opened;
    } catch (error) {
      replica?.ended({ kind: 'closed' });
      if (error instanceof DeadlineError) {
        // What is still loading holds the cell; nothing else can be told of it. Who waited behind it holds nothing.
        if (cell.loads(options)) cell.kill('stall', `${name} did not load within ${startMs} ms`);
        const detail = `${name} did not start within ${startMs} ms`;
        options.host.limit?.('start', detail, 1);
        throw new Fault('deadline-exceeded', detail);
      }
      throw error;
    } finally {
      cell.reserved -= 1;
      topUpSoon();
      if (cell.isolates === 0 && cell.reserved === 0) giveBack(cell);
    }
  }

  /** Replicas a debugger may be attached to, oldest first. */
  const inspectable = new Set<Replica>();
  function debuggable(replica: Replica): void {
    inspectable.add(replica);
    void replica.exited.then(() => inspectable.delete(replica));
  }
  const nobody: Inspection = { dispatch() {}, gone: Promise.resolve() };

  function look(): void {
    looks += 1;
    const now = clock.monotonic();
    for (const cell of cells) cell.look(now, (looks + cell.pid) % FULL_LOOK === 0);
  }

  async function stop(deadlineMs: number): Promise<void> {
    if (phase === 'stopped') return;
    phase = 'stopped';
    refill?.cancel();
    topUp?.cancel();
    await Promise.all([...cells].map((cell) => cell.close(deadlineMs)));
    const all =
      cells.size === 0
        ? Promise.resolve()
        : new Promise<void>((resolve) => {
            emptied = resolve;
          });
    for (const cell of cells) cell.kill('stop', 'the node-agent stops');
    await withDeadline(clock, COLLECT_MS, 'the end of the cells', () => all).catch((error) =>
      log.error({ left: cells.size, error: (error as Error).message }, 'cells were left to the kernel to end'),
    );
    watch?.cancel();
    own.stop();
    launcher.stop();
  }

  const sandbox: Sandbox = {
    limits: cgroups ? 'cgroup' : 'watchdog',
    layers,
    async start() {
      if (phase !== 'new') return;
      const lacking = layers.filter(({ layer, active }) => !active && config.requireLayers.includes(layer));
      if (lacking.length > 0) {
        const said = lacking.map(({ layer, detail }) => `${layer} (${detail})`).join(', ');
        throw new Fault('configuration-invalid', `sandbox.requireLayers: not to be had here: ${said}`);
      }
      phase = 'running';
      if ('missing' in found)
        log.warn({ reason: found.missing }, 'no cgroup for cells: memory and cpu are kept by the watchdog');
      watch = clock.every(LOOK_MS, look);
      keepSpares();
      try {
        await withDeadline(clock, startMs, 'the first cell', () => Promise.all([...spares].map((spare) => spare.ready)));
      } catch (error) {
        await stop(0);
        throw new Fault(
          'cell-died',
          `no cell could be started: ${error instanceof Fault ? error.detail : (error as Error).message}`,
        );
      }
    },
    open,
    ...(config.debug
      ? {
          inspect(workload, say) {
            const found = [...inspectable]
              .reverse()
              .find(({ options: { id } }) => workload === id.name || workload === `${id.kind}.${id.name}`);
            return say === undefined ? found && nobody : found?.inspect(say);
          },
        }
      : {}),
    cells: () => [...cells].filter((cell) => !cell.ended).map((cell) => cell.info()),
    stop,
  };
  // A debugger holds on to a replica, which must not be another one after an idle hour.
  if (config.passivateAfter === undefined || config.debug) return sandbox;
  return passivating(sandbox, { clock, log, afterMs: msOf(config.passivateAfter) });
}

/** What `start` threw, as the fault of the opening. */
function startFault(fault: Fault): Fault {
  return fault.code === 'handler-failed' ? new Fault('start-failed', `start: ${fault.detail}`) : fault;
}

function jitlessDetail({ jitless, jitlessPublishers }: NodeAgentConfig['sandbox']): string {
  if (jitless === 'all') return 'no guest has the just-in-time compiler';
  return jitlessPublishers.length === 0 ? 'sandbox.jitless is "off"' : `for the guests of ${jitlessPublishers.join(', ')} only`;
}
