/** The one way in which this agent says that what it was given cannot be worked on. */

/** Wrong input: the caller mends it, trying again does not help. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly code = 'invalid-input';
  /** Which field of the input, e.g. `steps[2].use`. */
  readonly path: string;

  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.path = path;
  }
}
