/** Random bytes for guests. Node's own module for them takes a tenth of a cell's start to load, and few guests ask. */
let crypto: typeof import('node:crypto') | undefined;

/** Loads what {@link entropy} needs, so that no guest waits for it. */
export function prepareEntropy(): typeof import('node:crypto') {
  crypto ??= process.getBuiltinModule('node:crypto');
  return crypto;
}

/** @returns one character for each byte */
export const entropy = (bytes: number): string => prepareEntropy().randomBytes(bytes).toString('latin1');
