/**
 * Whether a cell still answers: one ping at a time, and how long it has been waited for. What counts as too long is decided in
 * watchdog.ts.
 */
import { MalformedFrame } from './frames.ts';
import { type Ping, stalled } from './watchdog.ts';

/** Shortest time between two pings, ms. */
const PERIOD_MS = 200;
/** A look later than this was late itself: what lies beyond is not the cell's. */
const LATE_MS = 400;

export class Pulse {
  #ping: Ping | undefined;
  #nonce = 0;
  #nextAt = 0;

  /** A ping was sent and is not answered. */
  get awaited(): boolean {
    return this.#ping !== undefined;
  }

  /** @throws MalformedFrame for an answer to nothing that was asked */
  answered(nonce: number): void {
    if (nonce !== this.#ping?.nonce) throw new MalformedFrame('an answer to no ping');
    this.#ping = undefined;
  }

  /**
   * The time in ms the cell has not answered for, when that is too long; else undefined.
   * @param excused the cell could not answer, or nobody read it, since the last look
   */
  overdue(at: { now: number; elapsed: number; cpuMs: number; limitMs: number }, excused: boolean): number | undefined {
    if (this.#ping === undefined) return undefined;
    const { now, elapsed, cpuMs, limitMs } = at;
    const past = excused ? elapsed : Math.max(0, elapsed - LATE_MS);
    this.#ping = { ...this.#ping, sentAt: this.#ping.sentAt + past };
    return stalled(this.#ping, now, cpuMs, limitMs) ? now - this.#ping.sentAt : undefined;
  }

  /** The nonce to send, when it is time. @param cpuMs what the cell has used by now */
  beat(now: number, cpuMs: number): number | undefined {
    if (this.#ping !== undefined || now < this.#nextAt) return undefined;
    this.#nonce = (this.#nonce + 1) % 2 ** 31;
    this.#ping = { nonce: this.#nonce, sentAt: now, cpuMs };
    this.#nextAt = now + PERIOD_MS;
    return this.#nonce;
  }
}
