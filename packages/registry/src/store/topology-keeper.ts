/**
 * Applies the topology whenever the hub comes up, and looks again from time to time whether it is still so.
 */
import { type Clock, type Logger, waitUntil } from '@cim/contracts';
import type { Hub } from './hub.ts';
import { type Applied, applyTopology, type TopologySettings } from './topology-apply.ts';

export interface TopologyKeeper {
  start(): void;
  stop(): Promise<void>;
  /** Result of the last look; undefined before the first. */
  applied(): Applied | undefined;
  /** True when the topology stood within the wait, ms. */
  settled(waitMs: number): Promise<boolean>;
}

const AGAIN_MS = 5 * 60_000;
const AFTER_FAILURE_MS = 3_000;

export function createTopologyKeeper(deps: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly hub: Hub;
  readonly settings: TopologySettings;
}): TopologyKeeper {
  const { clock, log, hub, settings } = deps;
  const stopping = new AbortController();
  let applied: Applied | undefined;
  let running: Promise<void> = Promise.resolve();

  let told = '';
  /** Says what is new since the last look. */
  const tell = ({ created, drift, failed }: Applied) => {
    if (created.length > 0) log.info({ created }, 'created what was missing on the hub');
    const now = JSON.stringify([drift, failed.map(({ stream, fault }) => [stream, fault.detail])]);
    if (now === told) return;
    told = now;
    for (const found of drift) log.warn({ ...found }, 'the hub is not as declared');
    for (const { stream, fault } of failed)
      log.error({ stream, error: fault.message }, 'a stream could not be looked at or created');
  };

  const run = async () => {
    while (!stopping.signal.aborted) {
      let wait = AFTER_FAILURE_MS;
      try {
        const link = await hub.up(stopping.signal);
        applied = await applyTopology(link, clock, settings);
        tell(applied);
        if (applied.failed.length === 0) wait = AGAIN_MS;
      } catch (error) {
        if (!stopping.signal.aborted) log.debug({ error: String(error) }, 'the topology could not be looked at, trying on');
      }
      const sleep = new AbortController();
      // A hub that comes back may have lost everything: look at once.
      const forget = hub.onChange((up) => {
        if (up) sleep.abort();
      });
      await clock.sleep(wait, AbortSignal.any([sleep.signal, stopping.signal])).catch(() => {});
      forget();
    }
  };

  return {
    start() {
      running = run();
    },
    async stop() {
      stopping.abort(new Error('stopping'));
      await running;
    },
    applied: () => applied,
    settled: (waitMs) => waitUntil(clock, waitMs, () => applied !== undefined && applied.failed.length === 0, 10),
  };
}
