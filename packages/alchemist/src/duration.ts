/**
 * A length of time as the guide writes it: `Duration.minutes(5)`. Wherever the SDK takes a length it takes this, text such as `"5m"`,
 * or a number of milliseconds.
 *
 * Promises:
 * U1. A duration is whole milliseconds, 0 or more; anything else is refused where it is made.
 * U2. As text and as JSON it is what every schema of the product reads: `"5m"`.
 */
import { Fault, parseDuration, renderDuration } from '@cim/contracts';

export type DurationLike = Duration | string | number;

export class Duration {
  /** Milliseconds, whole. */
  readonly milliseconds: number;

  private constructor(milliseconds: number) {
    this.milliseconds = milliseconds;
  }

  static ms(count: number): Duration {
    return of(count, 1, 'ms');
  }
  static seconds(count: number): Duration {
    return of(count, 1_000, 'seconds');
  }
  static minutes(count: number): Duration {
    return of(count, 60_000, 'minutes');
  }
  static hours(count: number): Duration {
    return of(count, 3_600_000, 'hours');
  }
  static days(count: number): Duration {
    return of(count, 86_400_000, 'days');
  }

  /** `"5m"`, `"1h30m"`, another duration, or a number of milliseconds. @throws Fault `invalid-input` naming `field` */
  static from(value: DurationLike, field = 'duration'): Duration {
    if (value instanceof Duration) return value;
    const milliseconds = typeof value === 'number' ? value : parseDuration(value);
    if (milliseconds === undefined || !isLength(milliseconds)) {
      const message = `expected a length of time such as "30s" or "5m", found ${JSON.stringify(value)}`;
      throw new Fault('invalid-input', `${field}: ${message}`, { issues: [{ path: field, message }] });
    }
    return new Duration(milliseconds);
  }

  /** `5m`, `1h30m`, `500ms`. */
  toString(): string {
    return renderDuration(this.milliseconds);
  }
  toJSON(): string {
    return this.toString();
  }
}

const isLength = (ms: number) => Number.isSafeInteger(ms) && ms >= 0;

function of(count: number, size: number, unit: string): Duration {
  const ms = Math.round(count * size);
  if (!Number.isFinite(count) || !isLength(ms)) {
    throw new RangeError(`Duration.${unit}: expected a number of 0 or more, found ${count}`);
  }
  return Duration.from(ms);
}
