/**
 * A cell's share of cpu: kept by the kernel where it has a cgroup, else by stopping the process for a while (watchdog.ts decides).
 * Whoever is held back is told of either way.
 */
import type { CellProcess } from './cell/launch.ts';
import type { CellGroup } from './cgroup.ts';
import { type Allowance, fullAllowance, spend } from './watchdog.ts';

export class CpuShare {
  readonly #process: CellProcess;
  readonly #group: CellGroup | undefined;
  readonly #slowed: (times: number) => void;
  #allowance: Allowance = fullAllowance(1000);
  #periods = 0;

  /** @param slowed told how often the cell was held back */
  constructor(process: CellProcess, group: CellGroup | undefined, slowed: (times: number) => void) {
    this.#process = process;
    this.#group = group;
    this.#slowed = slowed;
  }

  /** The process is stopped for now. */
  get resting(): boolean {
    return this.#allowance.resting;
  }

  /** @param full true when the kernel's figures are read as well */
  look(usedMs: number, elapsedMs: number, milliCpu: number, full: boolean): void {
    if (this.#group !== undefined) {
      if (full) this.#read(this.#group.throttled());
      return;
    }
    const before = this.#allowance;
    this.#allowance = spend(before, usedMs, elapsedMs, milliCpu);
    if (this.#allowance.resting === before.resting) return;
    this.#process.signal(this.#allowance.resting ? 'SIGSTOP' : 'SIGCONT');
    if (this.#allowance.resting) this.#slowed(1);
  }

  #read(periods: number): void {
    if (periods > this.#periods) this.#slowed(periods - this.#periods);
    this.#periods = periods;
  }
}
