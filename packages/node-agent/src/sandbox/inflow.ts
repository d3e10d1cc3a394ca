/**
 * What a cell may cost the daemon: its socket is read here, and no faster than is fair to everyone else the daemon serves.
 *
 * Promises:
 * F1. Frames of one cell are taken for {@link SLICE_MS} at a time, and one frame more at most; then the rest of the daemon has its turn.
 * F2. A cell has {@link SHARE} of the daemon's time, what its answers have earned, and what it has saved up. When it has used that, its socket is
 *     not read for a while: the cell waits, not its neighbours.
 * F3. Time in which the machine did not let the daemon run is not charged: a frame costs at most what a frame of its size can.
 */
import type { Clock, Timer } from '@cim/contracts';
import { type Frame, FrameReader } from './frames.ts';

/** The socket, as far as it is needed here. */
export interface Source {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

export interface InflowOptions {
  readonly clock: Clock;
  readonly source: Source;
  /** Largest payload, bytes. */
  readonly largest: number;
  /** Takes a frame; a payload it does not own must not be kept. Throws what {@link fail} is told. */
  readonly take: (frame: Frame) => void;
  readonly fail: (error: Error) => void;
  /** The cell is not read for that long, ms. */
  readonly held: (ms: number) => void;
}

const SLICE_MS = 4;
/** Part of the daemon's time that a cell has for what nobody waits for. */
const SHARE = 0.1;
/** What it may save up, ms. */
const SAVED_MS = 300;
/** What an answer that was waited for is worth, ms: many times what it costs, large ones included. */
const EARNED_MS = 2;
const LONGEST_HOLD_MS = 2_000;
/** The most a frame can cost: by itself, and for each byte as the costliest JSON does. */
const FRAME_MS = 0.02;
const BYTE_MS = 0.0001;
/** Between two looks at the clock, ms of such cost. */
const LOOK_MS = 0.3;

export class Inflow {
  readonly #options: InflowOptions;
  readonly #reader: FrameReader;
  #waiting: Frame[] = [];
  #credit = SAVED_MS;
  #at: number;
  #timer: Timer | undefined;
  #paused = false;
  #over = false;

  constructor(options: InflowOptions) {
    this.#options = options;
    this.#reader = new FrameReader(options.largest);
    this.#at = options.clock.monotonic();
    options.source.on('data', (chunk) => this.#read(chunk));
  }

  /** True while something the cell sent is not read. */
  get holding(): boolean {
    return this.#paused;
  }

  /** Something that was waited for has come. */
  earned(): void {
    this.#credit = Math.min(SAVED_MS, this.#credit + EARNED_MS);
  }

  stop(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#waiting = [];
  }

  #read(chunk: Buffer): void {
    if (this.#over) return;
    const frames: Frame[] = [];
    try {
      this.#reader.push(chunk, (frame) => frames.push(frame));
    } catch (error) {
      // What came whole before it counts.
      if (!this.#paused) this.#work(frames);
      this.#fail(error);
      return;
    }
    if (this.#paused) this.#waiting.push(...frames.map(kept));
    else this.#work(frames);
  }

  /** Takes frames for a slice; what is left waits for the next turn of the event loop. */
  #work(frames: readonly Frame[]): void {
    const { clock, take } = this.#options;
    const begun = clock.monotonic();
    let most = 0;
    let look = LOOK_MS;
    for (let at = 0; at < frames.length; at += 1) {
      if (this.#over) return;
      const frame = frames[at]!;
      most += FRAME_MS + frame.payload.length * BYTE_MS;
      try {
        take(frame);
      } catch (error) {
        this.#fail(error);
        return;
      }
      if (most < look || at + 1 === frames.length) continue;
      look = most + LOOK_MS;
      if (clock.monotonic() - begun < SLICE_MS) continue;
      this.#waiting = frames.slice(at + 1).map(kept);
      this.#pause();
      break;
    }
    this.#charge(begun, most);
  }

  #charge(begun: number, most: number): void {
    this.#refill();
    this.#credit -= Math.min(this.#at - begun, most);
    this.#settle();
  }

  #refill(): void {
    const now = this.#options.clock.monotonic();
    this.#credit = Math.min(SAVED_MS, this.#credit + (now - this.#at) * SHARE);
    this.#at = now;
  }

  /** What comes next: a pause it has brought on itself, the rest of what was read, or reading on. */
  #settle(): void {
    const { clock, source, held } = this.#options;
    if (this.#over) return;
    if (this.#credit < 0) {
      this.#pause();
      const ms = Math.min(LONGEST_HOLD_MS, Math.ceil(-this.#credit / SHARE));
      this.#timer = clock.after(ms, () => this.#goOn());
      held(ms);
    } else if (this.#waiting.length > 0) setImmediate(() => this.#goOn());
    else if (this.#paused) {
      this.#paused = false;
      source.resume();
    }
  }

  #goOn(): void {
    if (this.#over) return;
    this.#refill();
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length > 0) this.#work(waiting);
    else this.#settle();
  }

  #pause(): void {
    this.#paused = true;
    this.#options.source.pause();
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.stop();
    this.#options.fail(error as Error);
  }
}

/** A frame to be taken later: the chunk it is a view of is not ours to keep. */
const kept = (one: Frame): Frame => (one.owned ? one : { ...one, payload: Buffer.from(one.payload), owned: true });
