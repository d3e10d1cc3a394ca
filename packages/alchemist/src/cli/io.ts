/** Everything the command touches outside itself, handed in, so that a test can run it in its own process. */
import type { Surroundings } from '../surroundings.ts';

export interface Io {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether a person watches standard output, and standard error. */
  readonly outIsTty: boolean;
  readonly errIsTty: boolean;
  /** Width of the terminal in columns. */
  readonly columns: number;
  /** All of standard input as text. */
  readonly stdin: () => Promise<string>;
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal;
  readonly around: () => Promise<Surroundings>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly nodeVersion: string;
}
