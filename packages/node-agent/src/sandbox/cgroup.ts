/**
 * A cgroup v2 for every cell, under the subtree the init system has delegated to the daemon. Where there is none, the pool falls back
 * to the watchdog and says so.
 *
 * Promises:
 * G1. Nothing is created outside the daemon's own delegated subtree.
 * G2. What cannot be had is no error: `findCgroups` answers undefined with the reason.
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** Limits of one cell. */
export interface CellLimits {
  readonly memoryBytes: number;
  readonly milliCpu: number;
}

export interface CellGroup {
  /** Puts a process into the group. */
  add(pid: number): void;
  limit(limits: CellLimits): void;
  /** True when the kernel has ended something in here for memory. */
  outOfMemory(): boolean;
  /** To be called when the cell is gone. Never throws. */
  remove(): void;
}

export interface Cgroups {
  create(name: string): CellGroup;
}

/** Where to look; tests give other places. */
export interface CgroupPlaces {
  readonly mount?: string;
  /** Content of /proc/self/cgroup. */
  readonly own?: string;
}

const CONTROLLERS = ['memory', 'cpu', 'pids'];
const DAEMON = 'daemon';
const CPU_PERIOD_US = 100_000;
/** Threads a cell may have: Node's own are about a dozen. */
const MOST_THREADS = 128;

/** The delegated subtree, made ready for cells, or why there is none. */
export function findCgroups(places: CgroupPlaces = {}): Cgroups | { readonly missing: string } {
  const mount = places.mount ?? '/sys/fs/cgroup';
  try {
    const own = /^0::(\/.*)$/m.exec(places.own ?? readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
    if (own === undefined || !existsSync(join(mount, 'cgroup.controllers'))) return { missing: 'no cgroup v2 here' };
    const here = resolve(mount, `.${own}`);
    // systemd's DelegateSubgroup has put us one below the delegated group; without it we make that room ourselves.
    const root = basename(here) === DAEMON ? dirname(here) : here;
    if (root === resolve(mount)) return { missing: 'the daemon runs in the root group' };
    accessSync(join(root, 'cgroup.procs'), constants.W_OK);
    const offered = readFileSync(join(root, 'cgroup.controllers'), 'utf8').trim().split(' ');
    const lacking = CONTROLLERS.filter((name) => !offered.includes(name));
    if (lacking.length > 0) return { missing: `${lacking.join(', ')} not delegated` };
    if (root === here) {
      // A group with processes of its own cannot hand controllers down.
      mkdirSync(join(root, DAEMON), { recursive: true });
      writeFileSync(join(root, DAEMON, 'cgroup.procs'), '0');
    }
    writeFileSync(join(root, 'cgroup.subtree_control'), CONTROLLERS.map((name) => `+${name}`).join(' '));
    return { create: (name) => cellGroup(join(root, name)) };
  } catch (error) {
    return { missing: (error as NodeJS.ErrnoException).code ?? (error as Error).message };
  }
}

function cellGroup(path: string): CellGroup {
  mkdirSync(path, { recursive: true });
  const write = (name: string, value: string) => writeFileSync(join(path, name), value);
  write('memory.swap.max', '0');
  write('pids.max', `${MOST_THREADS}`);
  return {
    add: (pid) => write('cgroup.procs', `${pid}`),
    limit({ memoryBytes, milliCpu }) {
      write('memory.max', `${memoryBytes}`);
      write('cpu.max', `${Math.max(1_000, Math.round((milliCpu * CPU_PERIOD_US) / 1000))} ${CPU_PERIOD_US}`);
    },
    outOfMemory() {
      try {
        return /^oom_kill [1-9]/m.test(readFileSync(join(path, 'memory.events'), 'utf8'));
      } catch {
        return false;
      }
    },
    remove() {
      try {
        rmdirSync(path);
      } catch {
        // Still holding a dying process, or gone already: the init system removes the subtree with the unit.
      }
    },
  };
}
