/**
 * Walks the chain from this machine to every workload, link by link, and says pass, warn or fail with evidence and what to do.
 *
 * Promises:
 * H1. A link that fails does not hide the next: what can still be asked is asked, what cannot is left out.
 * H2. Nothing is changed by looking.
 */
import type { CheckResult } from '@cim/contracts';
import { Fault, InstanceId } from '@cim/contracts';
import type { Alchemist } from './alchemist.ts';
import { judged } from './debug.ts';
import { signerOf, tooOpen } from './keys.ts';
import type { NodeView, WorkloadView } from './registry/answers.ts';

/** Checks in order, each as soon as it is known. */
export async function* diagnose(alchemist: Alchemist, instance?: string): AsyncGenerator<CheckResult> {
  const { profile } = alchemist;
  yield* ask('profile', async () => {
    const { file, registry, nats } = profile.origin;
    const evidence = `registry from ${registry}, NATS from ${nats}`;
    if (profile.registry === undefined) {
      return fail(
        evidence,
        'set --registry or CIM_REGISTRY_URL, or write .cim/profile.json; npm start makes a local fleet with one',
      );
    }
    const open = file === undefined ? undefined : await tooOpen(file);
    return open === undefined ? pass(evidence) : warn(open, `chmod 600 ${file}`);
  });
  for (const [role, file] of [
    ['publisher', profile.publisherSeedFile],
    ['operator', profile.operatorSeedFile],
  ] as const) {
    yield* ask(`${role} key`, async () => {
      if (file === undefined) {
        const what = role === 'publisher' ? 'publish' : 'sign deployments';
        return warn(`none set: this machine cannot ${what}`, `alchemist keys new ${role}`);
      }
      const { publicKey } = signerOf(file);
      const open = await tooOpen(file);
      return open === undefined ? pass(`${publicKey} in ${file}`) : warn(open, `chmod 600 ${file}`);
    });
  }
  let nodes: readonly NodeView[] = [];
  let workloads: readonly WorkloadView[] = [];
  if (profile.registry !== undefined) {
    yield* ask('registry', async () => {
      const { status, body } = await alchemist.registry.health();
      const said = `${alchemist.registry.url}/health answers ${status}: ${JSON.stringify(body).slice(0, 200)}`;
      return status < 400 ? pass(said) : fail(said, 'look into the log of the registry and at its NATS connection');
    });
    let known = false;
    yield* ask('token', async () => {
      const { name, roles } = await alchemist.registry.whoami();
      known = true;
      const evidence = `${name} with roles ${roles.join(', ')}`;
      const can = (role: string) => roles.includes(role) || roles.includes('admin');
      const lacks = ['publisher', 'operator'].filter((role) => !can(role));
      return lacks.length === 0
        ? pass(evidence)
        : warn(`${evidence}; cannot act as ${lacks.join(', ')}`, 'ask an admin for a token');
    });
    if (known) {
      yield* ask('nodes', async () => {
        nodes = (await alchemist.nodes()).filter((node) => instance === undefined || node.instance === instance);
        workloads = await alchemist.workloads(instance);
        const online = nodes.filter(({ presence }) => presence === 'online').length;
        if (nodes.length === 0)
          return warn('none has ever been heard of', 'start a node-agent: npm start, or the NixOS module');
        const evidence = `${online} of ${nodes.length} online`;
        return online === nodes.length ? pass(evidence) : warn(evidence, 'see the instances below');
      });
    }
  }
  if (profile.nats === undefined) {
    yield { check: 'nats', ...warn('no address set: calls and logs do not work from here', 'set --nats or CIM_NATS_URL') };
  } else {
    let connected = false;
    yield* ask('nats', async () => {
      const nats = await alchemist.connection();
      connected = true;
      return pass(`${nats.server} answers in ${await nats.rtt()} ms`);
    });
    if (connected) {
      for (const { instance: id } of nodes) {
        yield* ask(`probe ${id}`, async () => {
          const nats = await alchemist.connection();
          const { phase, health } = await nats.probe(InstanceId.parse(id), 3_000);
          return phase === 'running'
            ? pass(`answers: ${phase}, ${health}`)
            : warn(`answers: ${phase}, ${health}`, 'alchemist status');
        });
      }
    }
  }
  for (const node of nodes) yield { check: `instance ${node.instance}`, ...nodeResult(node) };
  for (const workload of workloads) {
    if (workload.desired === null || workload.desired.state === 'removed') continue;
    const { check, ...rest } = judged(workload, workload.kind, workload.name, workload.instance);
    yield { check: `${check} on ${workload.instance}`, ...rest };
  }
}

type Result = Omit<CheckResult, 'check'>;
const pass = (evidence: string): Result => ({ result: 'pass', evidence });
const warn = (evidence: string, fix: string): Result => ({ result: 'warn', evidence, fix });
const fail = (evidence: string, fix: string): Result => ({ result: 'fail', evidence, fix });

async function* ask(check: string, work: () => Promise<Result>): AsyncGenerator<CheckResult> {
  try {
    yield { check, ...(await work()) };
  } catch (error) {
    const fault = Fault.of(error, (error as Error).message);
    yield { check, ...fail(fault.detail, fault.row.advice) };
  }
}

function nodeResult({ presence, ageSeconds, status, instance }: NodeView): Result {
  const age = typeof ageSeconds === 'number' ? `, last heard ${Math.round(ageSeconds)} s ago` : '';
  if (presence === 'unknown') {
    return warn(`no heartbeat${age}: it may be cut off and still serving`, `on ${instance}: systemctl status cim-agent nats`);
  }
  const said = status?.conditions.map(({ title, detail }) => `${title}: ${detail}`).join('; ') ?? '';
  const evidence = `${status?.health ?? 'no status'}${said === '' ? '' : ` (${said})`}`;
  if (status?.health === 'unhealthy')
    return fail(evidence, 'mend the condition named; curl the health address of the node for more');
  return status?.health === 'healthy' ? pass(evidence) : warn(evidence, 'mend the condition named');
}
