/**
 * A cgroup v2 for every cell, under the subtree the init system has delegated to the daemon. Where there is none, the pool falls back
 * to the watchdog and says so.
 *
 * Promises:
 * G1. Nothing is created outside the daemon's own delegated subtree.
 * G2. The daemon's own group goes ahead of its cells.
 * G3. What cannot be had is no error: `findCgroups` answers undefined with the reason.
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** Limits of one cell. */
export interface CellLimits {
  readonly memoryBytes: number;
  readonly milliCpu: number;
}

/** A spare may use a core to get warm; below a twentieth of one nothing would ever load. */
const SPARE_MILLI_CPU = 1000;
const LEAST_MILLI_CPU = 50;

/** What the isolates of a cell may take together, and the cell itself. @param allowanceBytes of the cell */
export function limitsOf(isolates: readonly CellLimits[], allowanceBytes: number): CellLimits {
  const memoryBytes = isolates.reduce((sum, limits) => sum + limits.memoryBytes, allowanceBytes);
  const milliCpu = isolates.reduce((sum, limits) => sum + limits.milliCpu, 0);
  return { memoryBytes, milliCpu: isolates.length === 0 ? SPARE_MILLI_CPU : Math.max(milliCpu, LEAST_MILLI_CPU) };
}

export interface CellGroup {
  /** The file a process is put into the group by. */
  readonly door: string;
  /** Puts a process into the group. */
  add(pid: number): void;
  limit(limits: CellLimits): void;
  /**
   * Puts it behind our other groups, or level with them again. Behind, it has what they leave over and gives its core up in the moment one of
   * them wants it (`cpu.idle`, Linux 5.15); groups of others on the machine are no part of that. Never throws.
   */
  behind(yes: boolean): void;
  /** True when the kernel has ended something in here for memory. */
  outOfMemory(): boolean;
  /** Periods of 100 ms in which the kernel has held it back for its share of cpu, since it was made. */
  throttled(): number;
  /** To be called when the cell is gone. Never throws. */
  remove(): void;
}

export interface Cgroups {
  create(name: string): CellGroup;
}

/** Where to look; tests give other places. */
export interface CgroupPlaces {
  /** Mount point of the cgroup2 file system; default: from /proc/self/mountinfo. */
  readonly mount?: string;
  /** Content of /proc/self/cgroup. */
  readonly own?: string;
  /** Content of /proc/self/mountinfo. */
  readonly mounts?: string;
}

const CONTROLLERS = ['memory', 'cpu', 'pids'];
const DAEMON = 'daemon';
/** Against 100 of a cell: every cell's calls pass through the daemon, also those of one that loads it. */
const DAEMON_WEIGHT = 1000;
const CPU_PERIOD_US = 100_000;
/** Threads a cell may have: Node's own are about a dozen. */
const MOST_THREADS = 128;

/** Where cgroup2 is mounted, and which group is seen there as the root. */
function mountOf({ mount, mounts }: CgroupPlaces): { readonly mount: string; readonly root: string } | undefined {
  if (mount !== undefined && mounts === undefined) return { mount: resolve(mount), root: '/' };
  for (const line of (mounts ?? readFileSync('/proc/self/mountinfo', 'utf8')).split('\n')) {
    // id, parent, device, root, mount point, options, optional fields, "-", type, source, super options
    const [fields = '', kind = ''] = line.split(' - ');
    if (!kind.startsWith('cgroup2 ')) continue;
    const [, , , root = '/', point = ''] = fields.split(' ');
    return { mount: resolve(mount ?? unescaped(point)), root: unescaped(root) };
  }
  return undefined;
}

/** Spaces and the like as mountinfo writes them. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** A group's path as seen from the one that is mounted; undefined when it lies elsewhere. */
function below(own: string, root: string): string | undefined {
  if (own.split('/').includes('..')) return undefined;
  if (root === '/' || root.startsWith('/..')) return own;
  if (own === root) return '/';
  return own.startsWith(`${root}/`) ? own.slice(root.length) : undefined;
}

/** The delegated subtree, made ready for cells, or why there is none. */
export function findCgroups(places: CgroupPlaces = {}): Cgroups | { readonly missing: string } {
  try {
    const own = /^0::(\/.*)$/m.exec(places.own ?? readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
    const seen = mountOf(places);
    if (own === undefined || seen === undefined || !existsSync(join(seen.mount, 'cgroup.controllers')))
      return { missing: 'no cgroup v2 here' };
    const within = below(own, seen.root);
    if (within === undefined) return { missing: `the daemon's group ${own} is not in what is mounted at ${seen.mount}` };
    const here = resolve(seen.mount, `.${within}`);
    // systemd's DelegateSubgroup has put us one below the delegated group; without it we make that room ourselves.
    const root = basename(here) === DAEMON && here !== seen.mount ? dirname(here) : here;
    // In a cgroup namespace (ProtectControlGroups=private, containers) the delegated group looks like the root, but only the machine's
    // own root has no `cgroup.events`.
    if (root === resolve(seen.mount) && !existsSync(join(root, 'cgroup.events')))
      return { missing: 'the daemon runs in the root group' };
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
    attempt(() => writeFileSync(join(root, DAEMON, 'cpu.weight'), `${DAEMON_WEIGHT}`));
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
  // The cell and its guardian end together.
  attempt(() => write('memory.oom.group', '1'));
  return {
    door: join(path, 'cgroup.procs'),
    add: (pid) => write('cgroup.procs', `${pid}`),
    limit({ memoryBytes, milliCpu }) {
      write('memory.max', `${memoryBytes}`);
      write('cpu.max', `${Math.max(1_000, Math.round((milliCpu * CPU_PERIOD_US) / 1000))} ${CPU_PERIOD_US}`);
    },
    behind(yes) {
      // An idle group's weight cannot be set; the least there is, is what older kernels have.
      if (yes) attempt(() => write('cpu.weight', '1'));
      attempt(() => write('cpu.idle', yes ? '1' : '0'));
      if (!yes) attempt(() => write('cpu.weight', '100'));
    },
    outOfMemory() {
      try {
        return /^oom_kill [1-9]/m.test(readFileSync(join(path, 'memory.events'), 'utf8'));
      } catch {
        return false;
      }
    },
    throttled() {
      try {
        return Number(/^nr_throttled (\d+)/m.exec(readFileSync(join(path, 'cpu.stat'), 'utf8'))?.[1] ?? 0);
      } catch {
        return 0;
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

function attempt(write: () => void): void {
  try {
    write();
  } catch {
    // An older kernel has no such file.
  }
}
