/**
 * What is measured while hostile bundles run, all of it from outside: memory of cells by the kernel's own count, the delay of an event
 * loop, the answers of a neighbour.
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Bytes a process has held at most that are not of a file, or undefined when it is gone. */
function peakOf(pid: number): number | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
    const peak = (kib('VmHWM') - kib('RssFile')) * 1024;
    return peak > 0 ? peak : undefined;
  } catch {
    return undefined;
  }
}

const LOOK_MS = 10;

/** Follows processes until they are let go. */
export class MemoryWatch {
  readonly #peaks = new Map<number, number>();
  readonly #timer = setInterval(() => this.look(), LOOK_MS);

  look(): void {
    for (const pid of this.#peaks.keys()) this.follow(pid);
  }
  follow(pid: number): void {
    this.#peaks.set(pid, Math.max(this.#peaks.get(pid) ?? 0, peakOf(pid) ?? 0));
  }
  /** @returns bytes it held at most */
  letGo(pid: number): number {
    this.follow(pid);
    const peak = this.#peaks.get(pid) ?? 0;
    this.#peaks.delete(pid);
    return peak;
  }
  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Delay of this process's event loop, ms, beyond the timer's own period. */
export interface LoopDelay {
  readonly p99Ms: number;
  readonly maxMs: number;
}

const RESOLUTION_MS = 5;

export class LoopWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  constructor() {
    this.#delay.enable();
  }
  reset(): void {
    this.#delay.reset();
  }
  read(): LoopDelay {
    const over = (ns: number) => Math.max(0, ns / 1e6 - RESOLUTION_MS);
    return { p99Ms: over(this.#delay.percentile(99)), maxMs: over(this.#delay.max) };
  }
  stop(): void {
    this.#delay.disable();
  }
}

const sorted = (times: readonly number[]) => [...times].sort((a, b) => a - b);
export const percentile = (times: readonly number[], share: number): number =>
  sorted(times)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;

/** An honest workload that is called all the time. */
export class Neighbour {
  readonly faults: string[] = [];
  #times: number[] = [];
  #going = true;
  readonly #loop: Promise<void>;

  /** @param call one honest call; fails when it is not answered as it must be */
  constructor(call: () => Promise<unknown>) {
    this.#loop = (async () => {
      while (this.#going) {
        const from = performance.now();
        await call().catch((error: unknown) => this.faults.push(String(error)));
        this.#times.push(performance.now() - from);
        await new Promise((done) => setTimeout(done, 2));
      }
    })();
  }
  /** Times of the calls since it was last asked, ms. */
  take(): readonly number[] {
    const times = this.#times;
    this.#times = [];
    return times;
  }
  async stop(): Promise<void> {
    this.#going = false;
    await this.#loop;
  }
}
