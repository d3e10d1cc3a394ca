/**
 * What is wrong, as conditions with codes: the same in `/health`, in the log and for people.
 */
import { type Clock, type Condition, type Fault, leafLimitsKept } from '@cim/contracts';
import type { Drift } from './store/topology-apply.ts';

export interface HealthFacts {
  /** Why the hub is away; undefined while it is there. */
  readonly hub: string | undefined;
  readonly drift: readonly Drift[];
  readonly failed: readonly { readonly stream: string; readonly fault: Fault }[];
  /** True once everything declared stands on the hub. */
  readonly applied: boolean;
  /** Why the token file is not in force. */
  readonly tokens: string | undefined;
  /** Why the certificate files are not in force. */
  readonly tls: string | undefined;
  /** When the certificate in force ends, ms since 1970. */
  readonly tlsEndsAt: number | undefined;
  /** Why the audit log cannot be continued. */
  readonly audit: string | undefined;
  /** Why the transparency log cannot be continued. */
  readonly log: string | undefined;
  /** Views that do not follow the hub, by bucket. */
  readonly stale: readonly string[];
  /** Events the hub has not kept yet. */
  readonly eventsWaiting: number;
  /** Version of the hub's nats-server, while it is there. */
  readonly hubVersion?: string | undefined;
  /** `nats.insecureDev` is set. */
  readonly insecure?: boolean;
}

export interface Health {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly hub: 'reachable' | 'unreachable';
  /** True when requests can be answered. */
  readonly ready: boolean;
  readonly conditions: readonly Condition[];
}

type Found = Omit<Condition, 'since'>;

/** A certificate that ends within this time is said. */
const ENDS_SOON_MS = 14 * 86_400_000;

/** Pure. @param now ms since 1970 */
export function findings(facts: HealthFacts, now: number): Found[] {
  const found: Found[] = [];
  const add = (code: string, severity: Condition['severity'], title: string, detail: string) =>
    found.push({ code, severity, title, detail });
  if (facts.hub !== undefined) add('hub-unreachable', 'error', 'The hub does not answer', facts.hub);
  for (const { stream, fault } of facts.failed)
    add('topology-failed', 'error', 'A stream could not be created', `${stream}: ${fault.detail}`);
  if (facts.hub === undefined && !facts.applied && facts.failed.length === 0)
    add('topology-pending', 'error', 'The streams of the hub are being looked at', 'this ends within seconds');
  for (const { stream, field, expected, found: is } of facts.drift)
    add('topology-drift', 'warning', 'A stream is not as declared', `${stream}: ${field}: expected ${expected}, found ${is}`);
  if (facts.tokens !== undefined)
    add('tokens-unreadable', 'warning', 'The token file cannot be used; the last good one stays in force', facts.tokens);
  if (facts.tls !== undefined)
    add('tls-unusable', 'warning', 'The certificate files cannot be used; the last good ones stay in force', facts.tls);
  if (facts.tlsEndsAt !== undefined && facts.tlsEndsAt - now < ENDS_SOON_MS)
    add(
      'tls-ending',
      facts.tlsEndsAt <= now ? 'error' : 'warning',
      'The certificate of the registry ends soon or has ended',
      new Date(facts.tlsEndsAt).toISOString(),
    );
  if (facts.audit !== undefined)
    add('audit-broken', 'error', 'The audit log cannot be continued, so nothing can be changed', facts.audit);
  if (facts.log !== undefined)
    add('log-forked', 'error', 'The transparency log is not whole, so nothing can be published', facts.log);
  if (facts.hub === undefined && facts.applied)
    for (const bucket of facts.stale) add('view-stale', 'warning', 'A view does not follow the hub', bucket);
  if (facts.hubVersion !== undefined && !leafLimitsKept(facts.hubVersion)) {
    add(
      'leaf-limits-unkept',
      'warning',
      'The hub trusts leaves to keep their limits',
      `nats-server ${facts.hubVersion} does not judge what a leaf sends: whoever takes a leaf's credential may send anything; use 2.11.16, 2.12.7, 2.14.0 or newer on the hub`,
    );
  }
  if (facts.insecure) {
    add(
      'insecure-dev',
      'warning',
      'Connected without an identity',
      'nats.insecureDev is set: whoever reaches the nats-server is whoever they say; for a laptop only',
    );
  }
  if (facts.eventsWaiting > 0)
    add('events-waiting', 'warning', 'Events wait for the hub to keep them', `${facts.eventsWaiting}`);
  return found;
}

/** Remembers since when each condition has held. */
export function createHealth(clock: Clock, facts: () => HealthFacts): () => Health {
  let since = new Map<string, string>();
  return () => {
    const now = facts();
    const found = findings(now, clock.now());
    const key = ({ code, detail }: Found) => (code === 'topology-drift' || code === 'view-stale' ? `${code} ${detail}` : code);
    const at = new Date(clock.now()).toISOString();
    since = new Map(found.map((one) => [key(one), since.get(key(one)) ?? at]));
    const conditions = found.map((one) => ({ ...one, since: since.get(key(one))! }));
    const worst = (severity: Condition['severity']) => conditions.some((one) => one.severity === severity);
    return {
      status: worst('error') ? 'unhealthy' : worst('warning') ? 'degraded' : 'healthy',
      hub: now.hub === undefined ? 'reachable' : 'unreachable',
      ready: now.hub === undefined && now.applied && now.failed.length === 0,
      conditions,
    };
  };
}
