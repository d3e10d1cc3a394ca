/**
 * Who asks, and what they may do.
 *
 * Promises:
 * A1. A token is never stored or logged; the file holds its SHA-256, and that is what is compared.
 * A2. The file is looked at every second and read again when it changed. A file that became unreadable or wrong is said in health,
 *     and the last good one stays in force: a slip locks nobody out and lets nobody in.
 * A3. An entry past its `expiresAt` is no entry.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { type Clock, decodeJson, Fault, type Logger, type Role, type Timer, type TokenEntry, TokenFile } from '@cim/contracts';

/** A known caller: the name goes into audit and events. */
export interface Caller {
  readonly name: string;
  readonly roles: readonly Role[];
}

export interface TokenBook {
  /** Reads the file. @throws Fault `configuration-invalid` */
  start(): Promise<void>;
  stop(): void;
  /** The caller a token belongs to, or undefined when it is none of ours. */
  identify(token: string): Caller | undefined;
  /** Why the file as it is now is not in force; undefined when it is. */
  trouble(): string | undefined;
}

const LOOK_MS = 1_000;

export interface TokenBookDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly file: string;
}

export function createTokenBook({ clock, log, file }: TokenBookDeps): TokenBook {
  let entries: ReadonlyMap<string, TokenEntry> = new Map();
  let seen = '';
  let trouble: string | undefined;
  let timer: Timer | undefined;
  let looking = false;

  const look = async () => {
    if (looking) return;
    looking = true;
    try {
      const { mtimeMs, size, ino } = await stat(file);
      const mark = `${mtimeMs} ${size} ${ino}`;
      if (mark === seen) return;
      seen = mark;
      entries = bookOf(await readFile(file, 'utf8'), file);
      trouble = undefined;
      log.info({ tokens: entries.size }, 'read the token file');
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== trouble)
        log.error({ file, error: message }, 'the token file cannot be used; the last good one stays in force');
      trouble = message;
      // Looked at again even if it does not change: a disk may come back.
      seen = '';
    } finally {
      looking = false;
    }
  };

  return {
    async start() {
      await look();
      if (trouble !== undefined) {
        throw new Fault('configuration-invalid', `tokensFile: ${trouble}`, {
          issues: [{ path: 'tokensFile', message: trouble }],
        });
      }
      timer = clock.every(LOOK_MS, () => void look());
    },
    stop: () => timer?.cancel(),
    identify(token) {
      const hash = createHash('sha256').update(token).digest();
      // The map is keyed by hashes: what its timing could tell is about a hash the asker cannot choose, never about a token.
      const entry = entries.get(hash.toString('hex'));
      if (!entry || !timingSafeEqual(hash, Buffer.from(entry.sha256, 'hex'))) return undefined;
      if (entry.expiresAt !== undefined && Date.parse(entry.expiresAt) <= clock.now()) return undefined;
      return { name: entry.name, roles: entry.roles };
    },
    trouble: () => trouble,
  };
}

/** @throws Fault `configuration-invalid` naming every wrong field */
function bookOf(text: string, file: string): ReadonlyMap<string, TokenEntry> {
  const { tokens } = decodeJson(TokenFile, text, file, 'configuration-invalid');
  const book = new Map<string, TokenEntry>();
  tokens.forEach((entry, index) => {
    const twin = book.get(entry.sha256);
    if (twin) {
      const message = `the same token as that of "${twin.name}"; expected each token once`;
      throw new Fault('configuration-invalid', `${file}: tokens[${index}].sha256: ${message}`, {
        issues: [{ path: `tokens[${index}].sha256`, message }],
      });
    }
    book.set(entry.sha256, entry);
  });
  return book;
}

/** What a route asks for: nothing, any valid token, a role, or a viewer's token unless the request comes from this machine. */
export type Need = 'open' | 'any' | 'viewer-unless-local' | Exclude<Role, 'admin'>;

/** True when one of the roles is enough: admin for all, publisher and operator for what a viewer may too. Pure. */
export function allows(roles: readonly Role[], need: Need): boolean {
  if (need === 'open' || roles.includes('admin')) return true;
  if (need === 'any' || need === 'viewer' || need === 'viewer-unless-local') return roles.length > 0;
  return roles.includes(need);
}

/** @throws Fault `unauthenticated` or `forbidden`, saying what is missing */
export function demand(caller: Caller | undefined, need: Need, tokenGiven: boolean): void {
  if (need === 'open') return;
  if (!caller) {
    throw new Fault(
      'unauthenticated',
      tokenGiven
        ? 'the token is not known here or has expired'
        : 'expected the header "Authorization: Bearer <token>", found none',
    );
  }
  if (!allows(caller.roles, need)) {
    throw new Fault('forbidden', `"${caller.name}" has ${caller.roles.join(', ')}; this needs ${need}`);
  }
}
