/** Starts processes again that ended without having been asked to (F4 of fleet.ts): the service manager of an embedded fleet. */
import { backoffDelay, type Clock } from '@cim/contracts';
import { type ChildEnd, endText } from './machine/child.ts';

interface Revivable {
  ended(): Promise<ChildEnd>;
  start(): Promise<void>;
}

export interface Reviver {
  watch(name: string, process: Revivable): void;
  /** Called after each revival. */
  onChange(listener: () => void): void;
  stop(): void;
}

/** A life this long, ms, counts as a new beginning: the next pause is the shortest again. */
const LONG_LIFE_MS = 30_000;
const PAUSE = { base: 200, cap: 10_000, factor: 2 };

export function reviver(clock: Clock, told: (line: string) => void): Reviver {
  const stopping = new AbortController();
  const listeners: (() => void)[] = [];

  const guard = async (name: string, process: Revivable) => {
    for (let failures = 0; ; ) {
      const begun = clock.monotonic();
      const end = await process.ended();
      // What was asked to end is the asker's to start again.
      if (stopping.signal.aborted || end.asked) return;
      if (clock.monotonic() - begun > LONG_LIFE_MS) failures = 0;
      told(`${name} ended by itself (${endText(end)}), starting it again`);
      for (let back = false; !back; ) {
        await clock.sleep(backoffDelay(PAUSE, failures++, 1), stopping.signal);
        try {
          await process.start();
          back = true;
        } catch (error) {
          if (stopping.signal.aborted) return;
          told(`${name} does not come back: ${(error as Error).message}`);
        }
      }
      if (stopping.signal.aborted) return;
      told(`${name} is back`);
      for (const listener of listeners) listener();
    }
  };
  return {
    watch(name, process) {
      guard(name, process).catch((error) => {
        if (!stopping.signal.aborted) told(`${name} is no longer watched over: ${String(error)}`);
      });
    },
    onChange: (listener) => void listeners.push(listener),
    stop: () => stopping.abort(),
  };
}
