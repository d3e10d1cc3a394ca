/**
 * The sandbox: cells, who is in which, and the spare ones kept warm. The one door to it is {@link createSandbox}.
 *
 * Promises:
 * S1. Two publishers never share a cell, and a cell that has held code is never given to anyone else.
 * S2. A start takes a warm cell when there is one; the next spare is made in the background.
 * S3. Every cell is watched from outside (see watchdog.ts) whatever the kernel enforces besides; `limits` says which it is.
 */
import {
  bytesOf,
  type Clock,
  DeadlineError,
  Fault,
  type Logger,
  msOf,
  type NodeAgentConfig,
  type Timer,
  withDeadline,
} from '@cim/contracts';
import { createLauncher, ownRssBytes } from './cell/launch.ts';
import { Cell } from './cell.ts';
import { type CgroupPlaces, type Cgroups, findCgroups } from './cgroup.ts';
import type { Replica } from './replica.ts';
import type { Isolate, OpenOptions, Sandbox } from './sandbox.ts';
import { pageBytes } from './watchdog.ts';

export interface SandboxOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly config: NodeAgentConfig['sandbox'];
  /** Compiled cell-main; default: the one this package was built with. */
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
/** Spares that fail to start are not tried for ever. */
const SPARE_RETRY_MS = 5_000;

export function createSandbox({ clock, log, config, cellEntry, cgroup }: SandboxOptions): Sandbox {
  const launcher = createLauncher(cellEntry);
  const found = config.cgroup === 'off' ? { missing: 'switched off in the configuration' } : findCgroups(cgroup);
  const cgroups: Cgroups | undefined = 'create' in found ? found : undefined;
  const startMs = msOf(config.startTimeout);
  const page = pageBytes(ownRssBytes());
  const maxReply = bytesOf(config.maxReply);
  const allowanceBytes = bytesOf(config.cellMemoryAllowance);
  const cells = new Set<Cell>();
  const spares = new Set<Cell>();
  let made = 0;
  let looks = 0;
  let watch: Timer | undefined;
  let refill: Timer | undefined;
  let phase: 'new' | 'running' | 'stopped' = 'new';
  let emptied: () => void = () => {};

  function make(): Cell {
    made += 1;
    const child = launcher.launch();
    const group = child.pid === undefined ? undefined : cgroups?.create(`cell-${child.pid}-${made}`);
    const cell = new Cell({
      child,
      clock,
      log,
      group,
      maxReply,
      allowanceBytes,
      page,
      startMs,
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
    while (phase === 'running' && spares.size < config.spareCells) spares.add(make());
  }
  /** After a spare has died: not at once, or a cell that cannot start would be started without end. */
  function later(): void {
    if (phase !== 'running') return;
    refill?.cancel();
    refill = clock.after(SPARE_RETRY_MS, keepSpares);
  }

  function place({ bundle, isolation, limits }: OpenOptions): Cell {
    const publisher = bundle.publisher.key;
    if (isolation === 'shared') {
      for (const cell of cells) {
        if (cell.publisher !== publisher || cell.dedicated || cell.ended || cell.isolates + cell.reserved >= MOST_ISOLATES)
          continue;
        if (cell.limits.memoryBytes + limits.memoryBytes <= MOST_MEMORY) return cell;
      }
    }
    let taken: Cell | undefined;
    for (const spare of spares) {
      if (spare.ended) continue;
      taken = spare;
      break;
    }
    if (taken) spares.delete(taken);
    const cell = taken ?? make();
    cell.publisher = publisher;
    cell.dedicated = isolation === 'dedicated';
    return cell;
  }

  async function open(options: OpenOptions): Promise<Isolate> {
    if (phase !== 'running') throw new Fault('workload-not-ready', 'the sandbox is not running');
    const { name } = options.id;
    const end = clock.monotonic() + startMs;
    const cell = place(options);
    let replica: Replica | undefined;
    cell.reserved += 1;
    try {
      const opening = withDeadline(clock, startMs, `opening ${name}`, async () => {
        await cell.ready;
        replica = await cell.open(options);
        return replica;
      });
      // A cell may be taken before it is full of work, but not the next spare before this one is on its way.
      keepSpares();
      const opened = await opening;
      try {
        await opened.begin(Math.max(1, end - clock.monotonic()));
      } catch (error) {
        throw startFault(Fault.of(error));
      }
      return opened;
    } catch (error) {
      replica?.ended({ kind: 'closed' });
      if (error instanceof DeadlineError) {
        // What is still loading holds the cell; nothing else can be told of it.
        if (!replica) cell.kill('stall', `${name} did not load within ${startMs} ms`);
        throw new Fault('deadline-exceeded', `${name} did not start within ${startMs} ms`);
      }
      throw error;
    } finally {
      cell.reserved -= 1;
      if (cell.isolates === 0 && cell.reserved === 0) cell.kill('unused', 'nothing was started in it');
    }
  }

  function look(): void {
    looks += 1;
    const now = clock.monotonic();
    for (const cell of cells) cell.look(now, (looks + cell.pid) % FULL_LOOK === 0);
  }

  async function stop(deadlineMs: number): Promise<void> {
    if (phase === 'stopped') return;
    phase = 'stopped';
    refill?.cancel();
    await Promise.all([...cells].map((cell) => cell.close(deadlineMs)));
    const all =
      cells.size === 0
        ? Promise.resolve()
        : new Promise<void>((resolve) => {
            emptied = resolve;
          });
    for (const cell of cells) cell.kill('stop', 'the node-agent stops');
    await all;
    watch?.cancel();
  }

  return {
    limits: cgroups ? 'cgroup' : 'watchdog',
    async start() {
      if (phase !== 'new') return;
      phase = 'running';
      if ('missing' in found)
        log.warn({ reason: found.missing }, 'no cgroup for cells: memory and cpu are kept by the watchdog');
      if (!launcher.parentDeath)
        log.info({}, 'no setpriv here: a cell whose thread is held outlives a killed daemon until its turn ends');
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
    cells: () => [...cells].filter((cell) => !cell.ended).map((cell) => cell.info()),
    stop,
  };
}

/** What `start` threw, as the fault of the opening. */
function startFault(fault: Fault): Fault {
  return fault.code === 'handler-failed' ? new Fault('start-failed', `start: ${fault.detail}`) : fault;
}
