/**
 * `debugDeployment`: what the registry knows of one workload on one instance, what the node finds when it is asked to check, as one
 * report. The checks are those of the guide: connectivity, resources, permissions, dependencies.
 */
import { type CheckResult, Fault, InstanceId } from '@cim/contracts';
import type { Connection } from './connection.ts';
import type { WorkloadView } from './registry/answers.ts';
import type { RegistryClient } from './registry/client.ts';

export type CheckName = 'connectivity' | 'resources' | 'permissions' | 'dependencies';
export const checkNames: readonly CheckName[] = ['connectivity', 'resources', 'permissions', 'dependencies'];

export interface DebugOptions {
  readonly agent?: string;
  readonly service?: string;
  readonly instance: string;
  /** Default: all four. */
  readonly checks?: readonly CheckName[];
}

export interface DebugReport {
  /** Text for people. */
  readonly report: string;
  readonly results: readonly CheckResult[];
  /** True when nothing failed. */
  readonly ok: boolean;
}

const CHECK_MS = 15_000;

export async function debugDeployment(
  registry: RegistryClient,
  connection: () => Promise<Connection>,
  { agent, service, instance, checks = checkNames }: DebugOptions,
): Promise<DebugReport> {
  const id = InstanceId.safeParse(instance);
  if (!id.success) {
    throw new Fault('invalid-input', `instance: ${id.error.issues[0]!.message}, found ${JSON.stringify(instance)}`);
  }
  const unknown = checks.filter((check) => !checkNames.includes(check));
  if (unknown.length > 0) {
    const message = `expected any of ${checkNames.join(', ')}, found ${unknown.join(', ')}`;
    throw new Fault('invalid-input', `checks: ${message}`, { issues: [{ path: 'checks', message }] });
  }
  const name = agent ?? service;
  const kind = agent !== undefined ? 'agent' : service !== undefined ? 'service' : undefined;
  const known = await attempt('registry', async () => {
    const views = await registry.workloads(instance);
    const view = views.find((one) => one.name === name && (kind === undefined || one.kind === kind));
    return name === undefined ? [] : [judged(view, kind ?? 'workload', name, instance)];
  });
  const found = await attempt('node', async () => {
    const nats = await connection();
    const question = { checks: [...checks], ...(name === undefined ? {} : { workload: name }) };
    return (await nats.check(id.data, question, CHECK_MS)).results;
  });
  const results = [...known, ...found];
  const ok = results.every(({ result }) => result !== 'fail');
  return { report: reportText(`${name === undefined ? instance : `${name} on ${instance}`}`, results), results, ok };
}

/** The results, or the one that says why there are none. */
async function attempt(check: string, work: () => Promise<CheckResult[]>): Promise<CheckResult[]> {
  try {
    return await work();
  } catch (error) {
    const fault = Fault.of(error, (error as Error).message);
    return [{ check, result: 'fail', evidence: fault.detail, fix: fault.row.advice }];
  }
}

/** What a registry's view of a workload amounts to. */
export function judged(view: WorkloadView | undefined, kind: string, name: string, instance: string): CheckResult {
  const check = `${kind} ${name}`;
  if (!view?.desired || view.desired.state === 'removed') {
    return {
      check,
      result: 'fail',
      evidence: `no desired document asks for it on ${instance}`,
      fix: `alchemist deploy ${name} --instance ${instance}`,
    };
  }
  const { version, generation } = view.desired;
  if (view.presence === 'unknown') {
    const evidence = `${instance} is not heard of; it should run ${version} (generation ${generation})`;
    return { check, result: 'warn', evidence, fix: 'alchemist doctor; on the machine: systemctl status cim-agent' };
  }
  if (view.converged) {
    const ready = view.observed === null ? '' : `, ${view.observed.replicas.ready} of ${view.observed.replicas.desired} ready`;
    return { check, result: 'pass', evidence: `runs ${version} as asked (generation ${generation}${ready})` };
  }
  const reason = view.observed?.next?.reason ?? view.observed?.reason;
  const state = view.observed?.next?.state ?? view.observed?.state ?? 'not seen yet';
  return {
    check,
    result: state === 'failed' || state === 'quarantined' ? 'fail' : 'warn',
    evidence: `asked for ${version}, is ${state}${reason === undefined ? '' : `: ${reason.code}: ${reason.detail}`}`,
    ...(reason === undefined ? {} : { fix: new Fault(reason.code, '').row.advice }),
  };
}

function reportText(title: string, results: readonly CheckResult[]): string {
  const lines = results.flatMap(({ check, result, evidence, fix }) => [
    `${result.padEnd(4)}  ${check}: ${evidence}`,
    ...(fix === undefined || result === 'pass' ? [] : [`      -> ${fix}`]),
  ]);
  const failed = results.filter(({ result }) => result === 'fail').length;
  return [title, ...lines, failed === 0 ? 'nothing failed' : `${failed} of ${results.length} failed`].join('\n');
}
