/**
 * Secrets by name: sealed ones of the workload's own document first, then a directory of files (systemd credentials, sops-nix, agenix all
 * end there). Read at every use, so that a rotated secret is seen without a restart; never logged, never cached.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Desired, decode, Fault, SecretName, type Unsealer } from '@cim/contracts';

const LARGEST = 64 * 1024;

/** Who asks, as far as a secret is somebody's. */
export interface SecretOwner {
  readonly instance: string;
  readonly kind: 'agent' | 'service';
  readonly name: string;
}

/** @throws Fault `secret-missing`, `secret-unsealable`, `too-large`, with the name and never the content */
export type ReadSecret = (owner: SecretOwner, name: string, sealed: Desired['secrets']) => Promise<string>;

export function secretReader(directory: string | undefined, unsealer: Unsealer | undefined): ReadSecret {
  return async ({ instance, kind, name }, secret, sealed) => {
    const safe = decode(SecretName, secret, 'secret name');
    if (sealed !== undefined && unsealer !== undefined && Object.hasOwn(sealed, safe))
      return unsealer.open(sealed[safe]!, { instance, kind, name, secret: safe });
    if (directory === undefined)
      throw new Fault('secret-missing', `"${safe}": not sealed to this instance, which has no secretsDirectory either`);
    try {
      const bytes = await readFile(join(directory, safe));
      if (bytes.length > LARGEST) throw new Fault('too-large', `secret "${safe}" is larger than ${LARGEST} bytes`);
      return bytes.toString('utf8').replace(/\n$/, '');
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault('secret-missing', `"${safe}" is neither sealed to this instance nor in its secrets directory`);
    }
  };
}

/** Whether a workload's document carries a secret that is sealed to this key. */
export const sealedTo =
  (key: string, held: () => readonly { readonly record: { readonly document: Pick<Desired, 'name' | 'secrets'> } }[]) =>
  (workload: string, secret: string): boolean =>
    held().some(({ record: { document } }) => document.name === workload && document.secrets?.[secret]?.to === key);
