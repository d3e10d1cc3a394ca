/**
 * What a program finds around itself: environment, current directory, home, clock, chance. The one home of `process` and `Math.random`
 * in the SDK; everything else is handed this shape, so that a test can hand another.
 */
import { homedir, tmpdir } from 'node:os';
import { type Clock, systemClock } from '@cim/contracts';

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Current directory, absolute. */
  readonly cwd: string;
  readonly home: string;
  readonly temporary: string;
  /** Path of the Node that runs, for a child that runs the same. */
  readonly node: string;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Writes to standard error. */
  readonly complain: (text: string) => void;
}

export function surroundings(): Surroundings {
  return {
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    temporary: tmpdir(),
    node: process.execPath,
    clock: systemClock,
    random: Math.random,
    complain: (text) => void process.stderr.write(text),
  };
}
