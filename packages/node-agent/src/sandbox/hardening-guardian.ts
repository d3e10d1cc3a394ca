/**
 * The programs that put a cell into namespaces of its own, and how they are asked. bubblewrap also gives it a file system that holds
 * Node, its libraries and CIM's cell code and nothing else; `unshare` of util-linux cannot.
 */
import { existsSync, realpathSync } from 'node:fs';
import { librariesOf } from './hardening-files.ts';

/** `bwrap-host-files`: the machine's files, read-only, where it could not be told which ones a cell needs. */
export type Guardian = 'bwrap' | 'bwrap-host-files' | 'unshare';

/** Options of setpriv that leave a process no capability it could get back. */
export const CAPABILITIES = ['--bounding-set', '-all', '--inh-caps', '-all'];

/** One way to start a cell. */
export interface Way {
  /** Options of setpriv, by the layer they are for. */
  readonly death: boolean;
  readonly noNewPrivileges: boolean;
  readonly noCapabilities: boolean;
  readonly ownUser: boolean;
  readonly rlimits: boolean;
  readonly guardian: Guardian | undefined;
  readonly seccomp: boolean;
}

export interface Tools {
  readonly setpriv: string | undefined;
  readonly prlimit: string | undefined;
  readonly unshare: string | undefined;
  readonly bwrap: string | undefined;
}

// No namespaces of names and control groups: a cell may set no host name and its own group is all it sees in its file system, so they would
// widen what the unit may do and stop nothing.
const BWRAP = [
  // The kernel ends the cell with its guardian, and the guardian with the daemon.
  '--die-with-parent',
  '--unshare-user',
  '--unshare-pid',
  '--unshare-net',
  '--unshare-ipc',
  // No process between the guardian and the cell, so that the guardian's child is the cell.
  '--as-pid-1',
  '--cap-drop',
  'ALL',
];
const UNSHARE = ['--user', '--map-current-user', '--pid', '--fork', '--kill-child=KILL', '--net', '--ipc', '--mount'];

/** The guardian's part of a command line; what it starts follows. @param readable what a cell must see */
export function guardianArgs(way: Way, tools: Tools, readable: readonly string[], filterFd: number): string[] {
  switch (way.guardian) {
    case undefined:
      return [];
    case 'unshare': {
      const dropped = tools.setpriv === undefined ? [] : [tools.setpriv, '--no-new-privs', ...CAPABILITIES, '--'];
      return [tools.unshare!, ...UNSHARE, '--', ...dropped];
    }
    default: {
      const files = way.guardian === 'bwrap' ? bindings(readable) : ['--ro-bind', '/', '/'];
      const filter = way.seccomp ? ['--seccomp', `${filterFd}`] : [];
      return [tools.bwrap!, ...BWRAP, ...files, '--remount-ro', '/', '--chdir', '/', ...filter, '--'];
    }
  }
}

let made: { readonly of: string; readonly bindings: string[] } | undefined;

/** Read-only bindings of what a cell sees, each at its own name and at the place links lead to. */
function bindings(readable: readonly string[]): string[] {
  const of = readable.join('\n');
  if (made?.of === of) return made.bindings;
  const at = new Map<string, string>(librariesOf().map(([file, name]) => [name, file] as const));
  for (const path of readable) {
    if (!existsSync(path)) continue;
    const real = realpathSync(path);
    at.set(path, real);
    at.set(real, real);
  }
  // Folders before what lies in them.
  const list = [...at].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([name, file]) => ['--ro-bind', file, name]);
  made = { of, bindings: list };
  return list;
}
