/**
 * How long the node-agent's own event loop was held up: the bar behind "guest work never blocks the daemon". A beat is expected every
 * {@link BEAT_MS}; what it is late by is the delay of everything else that was due.
 */
import type { Clock } from '@cim/contracts';
import { Histogram, type Registry } from 'prom-client';

const BEAT_MS = 20;

/** Begins to measure into `registry`. @returns how to end it */
export function watchLoopDelay(clock: Clock, registry: Registry): () => void {
  const delays = new Histogram({
    name: 'cim_node_event_loop_delay_seconds',
    help: 'How late a beat of the event loop was, fifty times a second: what guests and their neighbours wait for.',
    buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1, 2],
    registers: [registry],
  });
  let before = clock.monotonic();
  const beat = clock.every(BEAT_MS, () => {
    const now = clock.monotonic();
    delays.observe(Math.max(0, now - before - BEAT_MS) / 1000);
    before = now;
  });
  return () => beat.cancel();
}
