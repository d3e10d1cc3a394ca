/** What is said of each layer: active or not, by what, or why not. Pure. */
import type { LayerState, SandboxLayer } from '@cim/contracts';
import { surroundings } from '../surroundings.ts';
import type { Tools, Way } from './hardening-guardian.ts';

export interface LayerFacts {
  readonly way: Way;
  readonly tools: Tools;
  /** The daemon runs as root. */
  readonly root: boolean;
  /** The daemon has capabilities a cell might get. */
  readonly capable: boolean;
  readonly isolation: 'auto' | 'off';
  /** What the ways that were tried before said. */
  readonly failures: readonly string[];
  /** There is a filter for this machine. */
  readonly seccompKnown: boolean;
}

export function describeLayers({ way, tools, root, capable, isolation, failures, seccompKnown }: LayerFacts): LayerState[] {
  const { guardian } = way;
  const bwrap = guardian === 'bwrap' || guardian === 'bwrap-host-files';
  const by = bwrap ? 'bubblewrap' : 'unshare';
  const unavailable =
    isolation === 'off'
      ? 'sandbox.isolation is "off"'
      : failures.length > 0
        ? failures.slice(0, 3).join('; ')
        : tools.bwrap === undefined
          ? 'bubblewrap is not installed'
          : 'not to be had here';
  const layer = (name: SandboxLayer, active: boolean, how: string, why: string): LayerState => ({
    layer: name,
    active,
    detail: active ? how : why,
  });
  // In a namespace of its own a process keeps what root had there, unless it is taken away.
  const dropped = guardian === 'unshare' && (!root || tools.setpriv !== undefined);
  const noSetpriv = tools.setpriv === undefined ? 'setpriv (util-linux) is not installed' : 'setpriv cannot do it here';
  return [
    layer('permission-model', true, "Node's --permission: no files but its own code, no processes, no workers", ''),
    layer('empty-environment', true, 'started with no environment', ''),
    layer('own-descriptors', true, 'its socket and a pipe for its last words', ''),
    layer('parent-death', way.death || bwrap, bwrap ? by : 'setpriv', `${noSetpriv}; a cell ends when its socket closes`),
    layer('no-new-privileges', way.noNewPrivileges || bwrap, bwrap ? by : 'setpriv', noSetpriv),
    layer(
      'no-capabilities',
      !capable || bwrap || dropped || way.noCapabilities || way.ownUser,
      capable ? (guardian === undefined ? 'setpriv' : by) : 'the daemon itself has none to give',
      `the daemon has some, and ${noSetpriv}`,
    ),
    layer(
      'own-user',
      way.ownUser,
      'each cell runs under a user of its own',
      root ? unavailable : 'only a daemon that runs as root can give cells other users',
    ),
    layer(
      'resource-limits',
      way.rlimits,
      'prlimit: open files, no core dump, no file written',
      'prlimit (util-linux) is not installed, or cannot do it here',
    ),
    layer('namespaces', guardian !== undefined, `${by}: user, pid, mount, ipc`, unavailable),
    layer('no-network', guardian !== undefined, `${by}: a network namespace without interfaces`, unavailable),
    layer('own-files', guardian === 'bwrap', 'bubblewrap: Node, its libraries, the cell; read-only', unavailable),
    layer(
      'seccomp',
      way.seccomp,
      'bubblewrap: no sockets, processes, signals, mounts, writing; see hardening-seccomp.ts',
      seccompKnown || isolation === 'off' ? unavailable : `no filter for ${surroundings().arch}`,
    ),
  ];
}
