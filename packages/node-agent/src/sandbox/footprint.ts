/**
 * What is known of an isolate's memory: what its cell told last, and whether it was entered since. Told figures are a hint for sharing a
 * cell's allowance fairly; the cell as a whole is measured from outside.
 */
import type { Share } from './watchdog.ts';

export class Footprint {
  heapBytes = 0;
  cpuMs = 0;
  #takenBytes = 0;
  /** Something was sent to it since it was measured. A new one is compiled, and so is in use. */
  #entered = true;
  /** Something was sent to it since the cell was asked to measure. */
  #sentSince = false;

  /** Something is on its way into the isolate. */
  sent(): void {
    this.#entered = true;
    this.#sentSince = true;
  }

  /** The cell is about to be asked to measure. */
  measuring(): void {
    this.#sentSince = false;
  }

  /** The cell has measured. @param busy something is under way in the isolate */
  measured(heapBytes: number, cpuMs: number, takenBytes: number, busy: boolean): void {
    this.heapBytes = heapBytes;
    this.cpuMs = cpuMs;
    this.#takenBytes = takenBytes;
    this.#entered = busy || this.#sentSince;
  }

  share(isolate: number, limitBytes: number, busy: boolean): Share {
    return { isolate, limitBytes, toldBytes: this.#takenBytes, active: this.#entered || busy };
  }
}
