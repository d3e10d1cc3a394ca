/**
 * Does what a manifest asks for lie within an instance's policy? Pure. A node refuses what does not, before anything of it runs; nothing
 * is narrowed in silence, since a workload with half its grants is a workload that breaks later.
 *
 * Promises:
 * Y1. A grant passes when it lies within one allowed pattern and can reach no denied one; both by NATS's own rules (subject.ts).
 * Y2. Policy and the publisher's own bounds must both allow.
 * Y3. Every excess is named with its field, what was asked for, and the bound with where it stands.
 */
import type { FieldIssue } from './field-issues.ts';
import { bytesOf, milliCpuOf, renderBytes, renderCpu } from './quantity.ts';
import type { Manifest } from './schema/manifest.ts';
import type { Policy, PolicyBounds } from './schema/policy.ts';
import { subjectsOverlap, subjectWithin } from './subject.ts';

/** What is asked for in all: the manifest, and the amounts once the desired document has had its word. */
export interface Ask {
  readonly manifest: Manifest;
  /** Bytes one replica holds. */
  readonly memoryBytes: number;
  /** Thousandths of a core of one replica. */
  readonly milliCpu: number;
  /** Bytes of its bucket. */
  readonly storageBytes: number;
  readonly replicas: number;
}

/** @param publisher name under trust.publishers @returns every excess; empty when all is within */
export function policyIssues(ask: Ask, policy: Policy, publisher: string): FieldIssue[] {
  const own =
    policy.publishers !== undefined && Object.hasOwn(policy.publishers, publisher) ? policy.publishers[publisher] : undefined;
  return [...excess(ask, policy, 'policy'), ...(own === undefined ? [] : excess(ask, own, `policy.publishers.${publisher}`))];
}

function excess({ manifest, ...amounts }: Ask, bounds: PolicyBounds, where: string): FieldIssue[] {
  const issues: FieldIssue[] = [];
  const say = (path: string, message: string) => void issues.push({ path, message });
  const { grants } = manifest;

  const patterns = (
    field: string,
    asked: readonly string[],
    rule: 'publish' | 'subscribe' | 'call' | 'offer',
    denied: readonly string[] = [],
  ) => {
    const allowed = bounds[rule];
    asked.forEach((pattern, index) => {
      const path = `${field}[${index}]`;
      if (allowed !== undefined && !allowed.some((outer) => subjectWithin(pattern, outer)))
        say(path, `"${pattern}" is not within ${where}.${rule} [${allowed.join(', ')}]`);
      const hit = denied.find((inner) => subjectsOverlap(pattern, inner));
      if (hit !== undefined) say(path, `"${pattern}" can reach "${hit}" of ${where}.deny.${rule}`);
    });
  };
  patterns('grants.publish', grants.publish, 'publish', bounds.deny?.publish);
  patterns('grants.subscribe', grants.subscribe, 'subscribe', bounds.deny?.subscribe);
  patterns('subscribe', manifest.subscribe, 'subscribe', bounds.deny?.subscribe);
  patterns('grants.call', grants.call, 'call', bounds.deny?.call);
  patterns('capabilities', Object.keys(manifest.capabilities), 'offer');

  for (const [index, host] of hostsOf(grants).entries()) {
    if (bounds.egress !== undefined && !bounds.egress.some((outer) => hostWithin(host, outer)))
      say(`grants.http[${index}].host`, `"${host}" is not within ${where}.egress [${bounds.egress.join(', ')}]`);
  }
  grants.secrets.forEach((name, index) => {
    if (bounds.secrets !== undefined && !bounds.secrets.includes(name))
      say(`grants.secrets[${index}]`, `"${name}" is not in ${where}.secrets [${bounds.secrets.join(', ')}]`);
  });
  if (bounds.kv === false && grants.kv) say('grants.kv', `${where}.kv is false here`);

  const amount = (field: string, asked: number, bound: number | undefined, rule: string, render: (n: number) => string) => {
    if (bound !== undefined && asked > bound) say(field, `asks for ${render(asked)}, ${where}.${rule} allows ${render(bound)}`);
  };
  amount(
    'resources.memory',
    amounts.memoryBytes,
    bounds.memory === undefined ? undefined : bytesOf(bounds.memory),
    'memory',
    renderBytes,
  );
  amount('resources.cpu', amounts.milliCpu, bounds.cpu === undefined ? undefined : milliCpuOf(bounds.cpu), 'cpu', renderCpu);
  if (grants.kv)
    amount(
      'resources.storage',
      amounts.storageBytes,
      bounds.storage === undefined ? undefined : bytesOf(bounds.storage),
      'storage',
      renderBytes,
    );
  amount('replicas', amounts.replicas, bounds.replicas, 'replicas', String);
  return issues;
}

/** Hosts a manifest asks to speak to, however much of it there is to say about each. */
function hostsOf(grants: object): readonly string[] {
  const { http } = grants as { readonly http?: readonly { readonly host: string }[] };
  return (http ?? []).map(({ host }) => host);
}

/** True when every host that `inner` stands for is one of `outer`'s. `*.a` is all below `a`, not `a` itself. */
export function hostWithin(inner: string, outer: string): boolean {
  if (outer === '*' || inner === outer) return true;
  if (!outer.startsWith('*.')) return false;
  const below = outer.slice(1);
  return inner.length > below.length && inner !== '*' && inner.endsWith(below);
}
