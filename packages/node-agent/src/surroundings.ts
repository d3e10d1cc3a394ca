/**
 * What the daemon finds around itself and its rooms may know: who it is on this machine. The one home of `process` outside the entries; read
 * at each call, so that nothing is remembered from before a change of user.
 */

export interface Surroundings {
  readonly pid: number;
  /** Runs as root, so that cells can have users of their own. */
  readonly root: boolean;
  /** As Node names it: `x64`, `arm64`. */
  readonly arch: string;
  /** Where programs are looked for. */
  readonly path: string | undefined;
}

export function surroundings(): Surroundings {
  return { pid: process.pid, root: process.getuid?.() === 0, arch: process.arch, path: process.env['PATH'] };
}
