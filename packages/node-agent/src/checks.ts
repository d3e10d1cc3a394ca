/**
 * The checks behind `alchemist doctor` and `debugDeployment`: each looks at something real, says pass, warn or fail with the evidence,
 * and what to do.
 */

import type { Manifest } from '@cim/contracts';
import {
  bytesOf,
  type CheckReply,
  type CheckRequest,
  type CheckResult,
  milliCpuOf,
  type NodeStatus,
  renderBytes,
  type WorkloadStatus,
} from '@cim/contracts';

export interface CheckView {
  readonly status: () => NodeStatus;
  readonly hub: () => { readonly reachable: boolean; readonly detail: string };
  /** Round trip to the leaf in ms. @throws when it does not answer */
  readonly leafRtt: () => Promise<number>;
  readonly heartbeatAgeSeconds: () => number | undefined;
  /** Manifest of a workload that runs or is cached here. */
  readonly manifest: (workload: string) => Manifest | undefined;
  readonly secretExists: (workload: string, name: string) => Promise<boolean>;
  readonly trusted: readonly { readonly name: string }[];
  /** Capabilities that answered a ping somewhere in the fleet, asked now. */
  readonly reachableCapabilities: (patterns: readonly string[]) => Promise<ReadonlyMap<string, boolean>>;
}

type Found = Omit<CheckResult, 'check'>;
const pass = (evidence: string): Found => ({ result: 'pass', evidence });
const warn = (evidence: string, fix: string): Found => ({ result: 'warn', evidence, fix });
const fail = (evidence: string, fix: string): Found => ({ result: 'fail', evidence, fix });

export async function runChecks(view: CheckView, request: CheckRequest): Promise<CheckReply> {
  const status = view.status();
  const workload = request.workload === undefined ? undefined : status.workloads.find(({ name }) => name === request.workload);
  const results: CheckResult[] = [];
  for (const check of request.checks) {
    const found =
      request.workload !== undefined && !workload
        ? [
            fail(
              `no workload "${request.workload}" has been desired on ${status.instance}`,
              `alchemist deploy ${request.workload} --instance ${status.instance}`,
            ),
          ]
        : await checks[check](view, workload);
    results.push(...found.map((one) => ({ check, ...one })));
  }
  return { instance: status.instance, results };
}

const checks: Record<
  CheckRequest['checks'][number],
  (view: CheckView, workload: WorkloadStatus | undefined) => Promise<Found[]>
> = {
  async connectivity(view) {
    const found: Found[] = [];
    try {
      const ms = await view.leafRtt();
      found.push(
        ms < 50
          ? pass(`leaf answers in ${ms.toFixed(1)} ms`)
          : warn(`leaf answers in ${ms.toFixed(0)} ms`, 'look at the load of the machine'),
      );
    } catch (error) {
      found.push(fail(`leaf does not answer: ${(error as Error).message}`, 'systemctl status nats; journalctl -u nats'));
    }
    const hub = view.hub();
    found.push(
      hub.reachable
        ? pass('hub answers')
        : warn(`hub does not answer: ${hub.detail}`, "workloads keep running; check the link and the leaf's credentials"),
    );
    const age = view.heartbeatAgeSeconds();
    found.push(
      age === undefined
        ? warn('no heartbeat was acknowledged yet', 'see the hub check above')
        : pass(`last heartbeat ${age.toFixed(0)} s ago`),
    );
    return found;
  },
  async resources(view, workload) {
    const { machine, limits } = view.status();
    const found: Found[] = [];
    const free = machine.diskFreeBytes / Math.max(machine.diskBytes, 1);
    found.push(
      free > 0.1
        ? pass(`${renderBytes(machine.diskFreeBytes)} of disk free`)
        : warn(`only ${(free * 100).toFixed(0)} % of the disk free`, 'free space under the state directory'),
    );
    found.push(
      limits === 'cgroup'
        ? pass('limits are kept by cgroup v2')
        : warn('limits are kept by a watchdog, not by the kernel', 'run under the systemd unit with Delegate=cpu memory pids'),
    );
    const resources = workload && view.manifest(workload.name)?.resources;
    if (resources?.memory !== undefined) {
      const asked = bytesOf(resources.memory);
      found.push(
        asked <= machine.memoryBytes
          ? pass(`asks for ${renderBytes(asked)} of memory`)
          : fail(
              `asks for ${renderBytes(asked)}, the machine has ${renderBytes(machine.memoryBytes)}`,
              'lower resources.memory or use a larger machine',
            ),
      );
    }
    if (resources?.cpu !== undefined) {
      const asked = milliCpuOf(resources.cpu) / 1000;
      found.push(
        asked <= machine.cores
          ? pass(`asks for ${asked} cores`)
          : fail(`asks for ${asked} cores, the machine has ${machine.cores}`, 'lower resources.cpu or use a larger machine'),
      );
    }
    return found;
  },
  async permissions(view, workload) {
    const found: Found[] = [
      view.trusted.length > 0
        ? pass(`trusts ${view.trusted.map(({ name }) => name).join(', ')}`)
        : fail('trusts no publisher', 'add keys to trust.publishers'),
    ];
    const code = workload?.reason?.code;
    if (code === 'signer-unknown' || code === 'signature-invalid')
      found.push(fail(workload!.reason!.detail, 'sign with a trusted key or add the key to trust.publishers'));
    if (code === 'policy-refused' || code === 'grant-refused')
      found.push(fail(workload!.reason!.detail, "ask for less in the definition's grants, or allow it in the node's policy"));
    for (const name of (workload && view.manifest(workload.name)?.grants.secrets) ?? []) {
      found.push(
        (await view.secretExists(workload!.name, name))
          ? pass(`secret "${name}" is there`)
          : fail(
              `secret "${name}" is missing`,
              `seal it: alchemist secrets set ${workload!.name} ${name} --instance ${view.status().instance}; or put a file "${name}" into the secrets directory`,
            ),
      );
    }
    return found;
  },
  async dependencies(view, workload) {
    if (!workload) return [pass('no workload named, nothing to depend on')];
    const found: Found[] = [
      workload.state === 'ready'
        ? pass(
            `${workload.name}@${workload.version} is ready with ${workload.replicas.ready} of ${workload.replicas.desired} replicas`,
          )
        : fail(
            `${workload.name} is ${workload.state}${workload.reason ? `: ${workload.reason.detail}` : ''}`,
            `alchemist logs ${workload.name}`,
          ),
    ];
    const needs = view.manifest(workload.name)?.grants.call ?? [];
    for (const [pattern, there] of await view.reachableCapabilities(needs)) {
      found.push(
        there ? pass(`${pattern} is offered`) : warn(`nothing offers ${pattern} now`, `deploy a workload that offers it`),
      );
    }
    return found;
  },
};
