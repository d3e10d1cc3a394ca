/**
 * The layers around a cell that come from the machine: what is to be had is found out once, by running Node under it, and every cell is
 * started the same way.
 *
 * Promises:
 * H1. A layer is said to be active only after a process that did what a cell does has run under it.
 * H2. What cannot be had is no error here: the layer is said to be inactive, with the reason. The pool refuses to start without what
 *     the configuration requires.
 * H3. Finding out takes at most {@link PROBES_MS} and one probe more; then what is known to work is taken.
 */
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Clock, LayerState } from '@cim/contracts';
import { surroundings } from '../surroundings.ts';
import { FILTER_FD, type Recipe } from './cell/begin.ts';
import { CAPABILITIES, type Guardian, guardianArgs, type Tools, type Way } from './hardening-guardian.ts';
import { describeLayers } from './hardening-layers.ts';
import { seccompFilter } from './hardening-seccomp.ts';

export interface HardeningOptions {
  readonly isolation: 'auto' | 'off';
  /** Path of bubblewrap; default: looked for. */
  readonly bwrap?: string | undefined;
  /** Where programs are looked for, as in PATH; the usual folders besides. */
  readonly path: string;
  /** Path of Node. */
  readonly node: string;
  /** Flags of Node in a cell. */
  readonly flags: readonly string[];
  /** Files and folders a cell reads. */
  readonly readable: readonly string[];
  /** What a cell must be able to do, as a script for `node -e` that prints {@link PROBED}. */
  readonly probe: string;
}

export interface Hardening {
  readonly layers: readonly LayerState[];
  /** How Node is started as cells are; descriptor 3 is its socket. Each time under another user, where cells have one. @param args of Node */
  recipe(args: readonly string[]): Recipe;
  /** True when the process is a guardian, and the cell its only child. */
  readonly guarded: boolean;
}

/** What a probe prints when all went well. */
export const PROBED = 'cell-probe-passed';
const PROBE_MS = 20_000;
const PROBES_MS = 45_000;
const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/run/current-system/sw/bin'];
/** Users that nobody gives out: each cell of a daemon that runs as root has one of its own. */
const FIRST_USER = 1_879_048_192;
const USERS = 65_536;
/** Node itself opens about thirty files. Writing to files ends at the first byte; no core is dumped. */
const RLIMITS = ['--nofile=256', '--core=0', '--fsize=0'];
/** Threads and processes of one user: where each cell has its own, a bomb of them is its own too. A cell has about a dozen. */
const OWN_RLIMITS = ['--nproc=128'];

const known = new Map<string, Hardening>();

/** Blocks while it probes (a tenth of a second as a rule); once per process and options. */
export function findHardening(options: HardeningOptions, clock: Clock): Hardening {
  const key = JSON.stringify(options);
  const before = known.get(key);
  if (before) return before;
  const hardening = probeAll(options, clock);
  known.set(key, hardening);
  return hardening;
}

function probeAll(options: HardeningOptions, clock: Clock): Hardening {
  const { isolation } = options;
  const here = surroundings();
  const tools: Tools = {
    setpriv: program('setpriv', options.path),
    prlimit: program('prlimit', options.path),
    unshare: program('unshare', options.path),
    bwrap: options.bwrap ?? program('bwrap', options.path),
  };
  const filter = isolation === 'auto' ? seccompFilter(here.arch) : undefined;
  const { root } = here;
  const until = clock.monotonic() + PROBES_MS;
  const failures: string[] = [];
  const command = (way: Way, args: readonly string[], user: number) => commandOf(way, tools, options, args, user);
  const works = (way: Way): boolean => {
    if (clock.monotonic() > until) return false;
    const failure = probe(command(way, ['-e', options.probe], FIRST_USER), way.seccomp ? filter : undefined);
    if (failure !== undefined)
      failures.push(`${way.guardian ?? 'no guardian'}${way.ownUser ? ' as own user' : ''}: ${failure}`);
    return failure === undefined;
  };

  const plain: Way = {
    death: false,
    noNewPrivileges: false,
    noCapabilities: false,
    ownUser: false,
    rlimits: false,
    guardian: undefined,
    seccomp: false,
  };
  // What setpriv and prlimit are good for is the same under every guardian.
  const death = tools.setpriv !== undefined && runs([tools.setpriv, '--pdeathsig', 'KILL', '--', options.node, '--version']);
  const nnp = tools.setpriv !== undefined && runs([tools.setpriv, '--no-new-privs', '--', options.node, '--version']);
  const caps = root && tools.setpriv !== undefined && runs([tools.setpriv, ...CAPABILITIES, '--', options.node, '--version']);
  const rlimits = tools.prlimit !== undefined && runs([tools.prlimit, ...RLIMITS, '--', options.node, '--version']);
  const base: Way = { ...plain, death, noNewPrivileges: nnp, rlimits };

  const guardians: Guardian[] = [];
  // Without this file the cell behind its guardian could not be found.
  if (isolation === 'auto' && existsSync(`/proc/self/task/${here.pid}/children`)) {
    if (tools.bwrap !== undefined) guardians.push('bwrap', 'bwrap-host-files');
    if (tools.unshare !== undefined) guardians.push('unshare');
  }
  const ways: Way[] = [];
  for (const guardian of guardians) {
    const way = { ...base, guardian, seccomp: guardian !== 'unshare' && filter !== undefined };
    if (root && tools.setpriv !== undefined) ways.push({ ...way, ownUser: true });
    ways.push(way);
  }
  if (isolation === 'auto' && root && tools.setpriv !== undefined) ways.push({ ...base, noCapabilities: caps, ownUser: true });
  const way = ways.find(works) ?? { ...base, noCapabilities: caps };

  let user = 0;
  return {
    layers: describeLayers({ way, tools, root, capable: capable(), isolation, failures, seccompKnown: filter !== undefined }),
    guarded: way.guardian !== undefined,
    recipe(args) {
      user = (user + 1) % USERS;
      return { command: command(way, args, FIRST_USER + user), filter: way.seccomp ? filter : undefined };
    },
  };
}

function commandOf(way: Way, tools: Tools, options: HardeningOptions, args: readonly string[], user: number): string[] {
  const setpriv = [
    ...(way.ownUser ? ['--reuid', `${user}`, '--regid', `${user}`, '--clear-groups'] : []),
    ...(way.noCapabilities ? CAPABILITIES : []),
    ...(way.noNewPrivileges ? ['--no-new-privs'] : []),
    ...(way.death ? ['--pdeathsig', 'KILL'] : []),
  ];
  return [
    ...(setpriv.length > 0 ? [tools.setpriv!, ...setpriv, '--'] : []),
    ...(way.rlimits ? [tools.prlimit!, ...RLIMITS, ...(way.ownUser ? OWN_RLIMITS : []), '--'] : []),
    ...guardianArgs(way, tools, [options.node, ...options.readable], FILTER_FD),
    options.node,
    ...options.flags,
    ...args,
  ];
}

/** @returns why it did not work, or undefined */
function probe([file, ...args]: readonly string[], filter: Buffer | undefined): string | undefined {
  const folder = filter === undefined ? undefined : mkdtempSync(join(tmpdir(), 'cim-cell-'));
  let descriptor: number | undefined;
  try {
    if (folder !== undefined) {
      writeFileSync(join(folder, 'filter'), filter!);
      descriptor = openSync(join(folder, 'filter'), 'r');
    }
    const { stdout, stderr, error } = spawnSync(file!, args, {
      cwd: '/',
      env: {},
      timeout: PROBE_MS,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'pipe', 'ignore', ...(descriptor === undefined ? [] : [descriptor])],
    });
    if (`${stdout}`.includes(PROBED)) return undefined;
    const said = `${stderr}`.split('\n').find((line) => line.trim() !== '');
    return (error?.message ?? said ?? 'said nothing').slice(0, 200);
  } catch (error) {
    return (error as Error).message;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  }
}

const runs = ([file, ...args]: readonly string[]): boolean =>
  spawnSync(file!, args, { cwd: '/', env: {}, timeout: PROBE_MS, killSignal: 'SIGKILL', stdio: 'ignore' }).status === 0;

/** True when this process has any capability to pass on. */
function capable(): boolean {
  try {
    const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
    return effective === undefined || /[^0]/.test(effective);
  } catch {
    return true;
  }
}

function program(name: string, path: string): string | undefined {
  for (const folder of [...path.split(delimiter), ...FOLDERS]) {
    if (!isAbsolute(folder)) continue;
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not here.
    }
  }
  return undefined;
}
