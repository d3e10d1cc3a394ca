/**
 * Health conditions of the node: coded records with a since, set and cleared by the rooms that know, read by status and HTTP.
 * The same code may stand once per subject (for example one `workload-failed` per workload).
 */
import type { Clock, Condition } from '@cim/contracts';

export interface Conditions {
  /** Sets or renews a condition. `since` stays that of the first time while code and subject are the same. */
  set(code: string, severity: Condition['severity'], title: string, detail: string, subject?: string): void;
  clear(code: string, subject?: string): void;
  list(): readonly Condition[];
}

export function createConditions(clock: Clock): Conditions {
  const all = new Map<string, Condition>();
  const key = (code: string, subject = '') => `${code}\0${subject}`;
  return {
    set(code, severity, title, detail, subject) {
      const id = key(code, subject);
      const since = all.get(id)?.since ?? new Date(clock.now()).toISOString();
      all.set(id, { code, severity, title, detail, since });
    },
    clear(code, subject) {
      all.delete(key(code, subject));
    },
    list: () => [...all.values()],
  };
}

/** Worst of the conditions: `error` is unhealthy, `warning` degraded. */
export function healthOf(conditions: readonly Condition[]): 'healthy' | 'degraded' | 'unhealthy' {
  if (conditions.some(({ severity }) => severity === 'error')) return 'unhealthy';
  if (conditions.some(({ severity }) => severity === 'warning')) return 'degraded';
  return 'healthy';
}
