/**
 * What follows from the hub's coming and going: the condition, the event, and the word to those who waited for it.
 */
import type { Logger } from '@cim/contracts';
import type { Conditions } from '../conditions.ts';

export interface HubWatchDeps {
  readonly conditions: Conditions;
  readonly log: Logger;
  readonly emit: (type: 'node.hub-found' | 'node.hub-lost', data: unknown) => void;
  /** The hub answers (again). */
  readonly found: () => void;
}

/** @returns to be told whenever the hub's being reachable changes, with the reason */
export function hubChanged({ conditions, log, emit, found }: HubWatchDeps): (reachable: boolean, detail: string) => void {
  return (reachable, detail) => {
    if (!reachable) {
      log.warn({ detail }, 'the hub does not answer');
      emit('node.hub-lost', { detail });
      const advice = 'workloads keep running on the last good desired state';
      conditions.set('hub-unreachable', 'warning', 'The hub does not answer', `${detail}; ${advice}`);
      return;
    }
    log.info({ detail }, 'the hub answers');
    emit('node.hub-found', { detail });
    conditions.clear('hub-unreachable');
    conditions.clear('started-offline');
    found();
  };
}
