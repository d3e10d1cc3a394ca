/**
 * Secrets by name from a directory of files (systemd credentials, sops-nix, agenix all end there). Read at every use, so that a
 * rotated secret is seen without a restart; never logged, never cached.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode, Fault, SecretName } from '@cim/contracts';

const LARGEST = 64 * 1024;

/** @throws Fault `secret-missing`, with the name and never the content */
export function secretReader(directory: string | undefined): (name: string) => Promise<string> {
  return async (name) => {
    const safe = decode(SecretName, name, 'secret name');
    if (directory === undefined) throw new Fault('secret-missing', `"${safe}": this instance has no secretsDirectory`);
    try {
      const bytes = await readFile(join(directory, safe));
      if (bytes.length > LARGEST) throw new Fault('too-large', `secret "${safe}" is larger than ${LARGEST} bytes`);
      return bytes.toString('utf8').replace(/\n$/, '');
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault('secret-missing', `"${safe}" is not in the secrets directory of this instance`);
    }
  };
}
