/**
 * The parts of the platform as the cell holds them: read when an isolate first needs one, compiled form kept for the next.
 * The texts are this package's own, beside the prelude; a name that is not a file there is not looked up at all.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type ivm from 'isolated-vm';

/** A script of ours with its compiled form: reading it anew for every isolate would be most of what an isolate costs. */
export interface Part {
  readonly source: string;
  /** Made by this process of our own source, the first time it was compiled: code that came from elsewhere is never taken compiled. */
  compiled: ivm.ExternalCopy<ArrayBuffer> | undefined;
}

export interface Library {
  /** @throws Error for a name that is not a part */
  part(name: string): Part;
}

/** @param folder where the build put the parts, one `<name>.js` each */
export function openLibrary(folder: string): Library {
  const files = new Set(readdirSync(folder).filter((file) => file.endsWith('.js')));
  const parts = new Map<string, Part>();
  return {
    part(name) {
      const known = parts.get(name);
      if (known) return known;
      const file = `${name}.js`;
      if (!files.has(file)) throw new Error(`no part ${JSON.stringify(name.slice(0, 40))}`);
      const part: Part = { source: readFileSync(join(folder, file), 'latin1'), compiled: undefined };
      parts.set(name, part);
      return part;
    },
  };
}
