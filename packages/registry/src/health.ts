/**
 * What is wrong, as conditions with codes: the same in `/health`, in the log and for people.
 */
import type { Clock, Condition, Fault } from '@cim/contracts';
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
  /** Views that do not follow the hub, by bucket. */
  readonly stale: readonly string[];
  /** Events the hub has not kept yet. */
  readonly eventsWaiting: number;
}

export interface Health {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  readonly hub: 'reachable' | 'unreachable';
  /** True when requests can be answered. */
  readonly ready: boolean;
  readonly conditions: readonly Condition[];
}

type Found = Omit<Condition, 'since'>;

/** Pure. */
export function findings(facts: HealthFacts): Found[] {
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
  if (facts.hub === undefined && facts.applied)
    for (const bucket of facts.stale) add('view-stale', 'warning', 'A view does not follow the hub', bucket);
  if (facts.eventsWaiting > 0)
    add('events-waiting', 'warning', 'Events wait for the hub to keep them', `${facts.eventsWaiting}`);
  return found;
}

/** Remembers since when each condition has held. */
export function createHealth(clock: Clock, facts: () => HealthFacts): () => Health {
  let since = new Map<string, string>();
  return () => {
    const now = facts();
    const found = findings(now);
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
