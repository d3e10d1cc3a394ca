/** The one way in which this service says that what it was given cannot be read. */

/** Input that is no invoice: the caller mends it, trying again does not help. */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly code = 'invalid-input';
  /** Which field of the input, e.g. `xml`. */
  readonly path: string;

  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.path = path;
  }
}
