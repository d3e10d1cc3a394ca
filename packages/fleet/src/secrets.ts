/**
 * Passwords, tokens and keys of one fleet: made once, kept in files only their owner can read, the same at every start.
 */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PublicKey, type Role, type Signer, signerFromSeed, type TokenEntry } from '@cim/contracts';
import { createAccount, createOperator } from '@nats-io/nkeys';
import { writeFault } from './machine/child.ts';
import { newSecret } from './machine/surroundings.ts';

export interface Secrets {
  /** Password of a NATS user. */
  password(user: string): string;
  passwordFile(user: string): string;
  /** Bearer token of a role at the registry. */
  token(role: Role): string;
  tokenFile(role: Role): string;
  readonly publisher: Key;
  readonly operator: Key;
  /** The registry's token file: hashes of the tokens. */
  readonly tokens: { readonly tokens: readonly TokenEntry[] };
}

export interface Key {
  readonly seedFile: string;
  readonly signer: Signer;
  readonly publicKey: PublicKey;
}

/** Whom everybody in this fleet trusts: its registry, its nodes, and the desk of its operator. */
export const rootsOf = ({ publisher, operator }: Secrets) => ({
  publishers: [{ name: 'fleet publisher', key: publisher.publicKey }],
  operators: [{ name: 'fleet operator', key: operator.publicKey }],
});

const ROLES: readonly Role[] = ['viewer', 'publisher', 'operator', 'admin'];

/** @throws Fault `storage-full` or `configuration-invalid` when a file cannot be written, `invalid-input` when a key file is no key */
export function openSecrets(directory: string): Secrets {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    chmodSync(directory, 0o700);
  } catch (cause) {
    throw writeFault(directory, cause);
  }
  const once = (name: string, make: () => string): string => {
    const file = join(directory, name);
    if (!existsSync(file)) {
      try {
        writeFileSync(file, `${make()}\n`, { mode: 0o600, flag: 'wx' });
      } catch (cause) {
        throw writeFault(file, cause);
      }
    }
    return readFileSync(file, 'utf8').trim();
  };
  const key = (name: string, make: typeof createAccount): Key => {
    const signer = signerFromSeed(once(name, () => new TextDecoder().decode(make().getSeed())));
    return { seedFile: join(directory, name), signer, publicKey: PublicKey.parse(signer.publicKey) };
  };
  const token = (role: Role) => once(`token-${role}`, newSecret);
  return {
    password: (user) => once(`nats-${user}`, newSecret),
    passwordFile: (user) => join(directory, `nats-${user}`),
    token,
    tokenFile: (role) => join(directory, `token-${role}`),
    publisher: key('publisher.seed', createAccount),
    operator: key('operator.seed', createOperator),
    tokens: {
      tokens: ROLES.map((role) => ({
        name: role,
        sha256: createHash('sha256').update(token(role)).digest('hex'),
        roles: [role],
      })),
    },
  };
}
