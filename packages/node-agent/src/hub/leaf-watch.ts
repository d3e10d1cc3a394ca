/**
 * What follows from the leaf's coming and going: the condition, the leaf's own streams, and the word to those who waited for it.
 */
import type { Logger } from '@cim/contracts';
import type { Conditions } from '../conditions.ts';
import type { Leaf } from './leaf.ts';
import { applyLeafTopology } from './leaf-streams.ts';

export interface LeafWatchDeps {
  readonly leaf: Leaf;
  readonly instance: string;
  readonly log: Logger;
  readonly conditions: Conditions;
  /** The leaf is there (again). */
  readonly found: () => void;
}

/** @returns whether the leaf's streams stand */
export function watchLeaf({ leaf, instance, log, conditions, found }: LeafWatchDeps): { readonly streamReady: () => boolean } {
  let streamReady = false;
  conditions.set('leaf-unreachable', 'error', 'The leaf does not answer', 'not connected yet');
  leaf.onChange((connection) => {
    if (!connection) {
      conditions.set(
        'leaf-unreachable',
        'error',
        'The leaf does not answer',
        'no call can reach this node until its nats-server is back',
      );
      return;
    }
    conditions.clear('leaf-unreachable');
    found();
    applyLeafTopology(connection, instance, log).then(
      (drift) => {
        streamReady = true;
        if (drift.length === 0) conditions.clear('topology-drift');
        else conditions.set('topology-drift', 'warning', 'A stream of the leaf is not as declared', drift.join('; '));
      },
      (error) => log.warn({ error: String(error) }, 'the streams of the leaf could not be checked'),
    );
  });
  return { streamReady: () => streamReady };
}
