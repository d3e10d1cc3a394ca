/**
 * What a replica says beside its answers: lines of log, metrics, limits it ran into. An honest isolate keeps bounds of its own; these are
 * the daemon's, for one that was broken out of.
 *
 * Promises:
 * O1. At most so many of each in a second reach the host door; the rest is dropped and told of as a limit.
 * O2. A flood that no honest cell sends is a MalformedFrame, which ends the cell.
 */
import type { Clock, LogFields } from '@cim/contracts';
import { MalformedFrame } from './frames.ts';
import type { GuestLimit } from './protocol.ts';
import type { Level, MetricKind } from './records.ts';
import type { HostDoor } from './sandbox.ts';

const LOGS_A_SECOND = 512;
const METRICS_A_SECOND = 4096;
/** Lines and metrics beyond these multiples come from no honest cell: it drops them itself at half of what is let through. */
const FLOOD = 16;
/** An honest isolate tells of each of its limits once a second. */
const LIMITS_A_SECOND = 32;
const MOST_HITS = 1_000_000;

export class Outflow {
  readonly #clock: Clock;
  readonly #host: HostDoor;
  #second = 0;
  #logs = 0;
  #metrics = 0;
  #limits = 0;

  constructor(clock: Clock, host: HostDoor) {
    this.#clock = clock;
    this.#host = host;
  }

  /** @throws MalformedFrame */
  log(level: Level, message: string, fields: Record<string, unknown>): void {
    this.#turn();
    this.#logs += 1;
    if (this.#logs <= LOGS_A_SECOND) this.#host.log(level, message, fields);
    else if (this.#logs > FLOOD * LOGS_A_SECOND) throw new MalformedFrame('a flood of log lines');
    else this.#host.limit?.('log-rate', `more than ${LOGS_A_SECOND} lines a second out of the cell`, 1);
  }

  /** A line of the daemon's own about the guest: no misdeed of its cell. */
  report(message: string, fields: LogFields): void {
    if (this.#logs < LOGS_A_SECOND) this.log('error', message, fields);
  }

  /** @throws MalformedFrame */
  metric(kind: MetricKind, name: string, value: number): void {
    this.#turn();
    this.#metrics += 1;
    if (this.#metrics <= METRICS_A_SECOND) this.#host.metric(kind, name, value);
    else if (this.#metrics > FLOOD * METRICS_A_SECOND) throw new MalformedFrame('a flood of metrics');
    else this.#host.limit?.('metric-rate', `more than ${METRICS_A_SECOND} a second out of the cell`, 1);
  }

  limit(name: GuestLimit, hits: number): void {
    this.#turn();
    this.#limits += 1;
    if (this.#limits <= LIMITS_A_SECOND) this.#host.limit?.(name, 'inside the isolate', Math.min(hits, MOST_HITS));
  }

  #turn(): void {
    const now = this.#clock.monotonic();
    if (now - this.#second < 1000) return;
    this.#second = now;
    this.#logs = 0;
    this.#metrics = 0;
    this.#limits = 0;
  }
}
