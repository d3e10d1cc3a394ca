/**
 * Which events one wants: by instance, by pattern, since when. Patterns are the guide's (`agent.*.deployed`, `error.*`), relative to an
 * instance, checked here so that a slip is named before anything is asked.
 */
import { type CimEvent, eventPattern, Fault } from '@cim/contracts';

export interface EventQuery {
  readonly instance?: string | undefined;
  /** Patterns; any of them is enough. None: all events. */
  readonly patterns?: readonly string[] | undefined;
  /** An ISO time or a sequence number of the hub's stream. */
  readonly since?: string | undefined;
  readonly limit?: number | undefined;
}

/** @throws Fault `invalid-input` naming the pattern */
export function checkPatterns(patterns: readonly string[]): void {
  patterns.forEach((pattern, index) => {
    try {
      eventPattern('any', pattern);
    } catch (cause) {
      const path = `events[${index}]`;
      throw new Fault('invalid-input', `${path}: ${(cause as Error).message}`, {
        cause,
        issues: [{ path, message: (cause as Error).message }],
      });
    }
  });
}

/**
 * The query string. The registry takes one pattern; of several it is asked for everything and {@link matches} picks.
 */
export function eventQueryString({ instance, patterns = [], since, limit }: EventQuery): string {
  const query = new URLSearchParams();
  if (instance !== undefined) query.set('instance', instance);
  if (patterns.length === 1) query.set('pattern', patterns[0]!);
  if (since !== undefined) query.set('since', since);
  if (limit !== undefined) query.set('limit', `${limit}`);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

/** True when any pattern fits the event (entity and event from its type, id from its subject). */
export function matches(event: CimEvent, patterns: readonly string[]): boolean {
  if (patterns.length === 0) return true;
  const [entity = '', name = ''] = event.type.split('.');
  const found = [entity, event.subject ?? '', name];
  return patterns.some((pattern) => {
    const wanted = pattern.split('.');
    for (let i = 0; i < 3; i++) {
      const token = wanted[i] ?? '*';
      if (token === '>') return true;
      if (token !== '*' && token !== found[i]) return false;
    }
    return true;
  });
}
