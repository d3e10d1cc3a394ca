/**
 * The token file: tokens that are good before anybody can make one, and when the hub is away.
 *
 * Promises:
 * F1. The file is looked at every second and read again when it changed. A file that became unreadable or wrong is said in health,
 *     and the last good one stays in force: a slip locks nobody out and lets nobody in.
 * F2. An entry past its `expiresAt` is no entry.
 */
import { readFile, stat } from 'node:fs/promises';
import { type Clock, decodeJson, Fault, type Logger, type Timer, type TokenEntry, TokenFile } from '@cim/contracts';
import { type Caller, hashOf, sameHash } from './auth.ts';

export interface TokenBook {
  /** Reads the file. @throws Fault `configuration-invalid` */
  start(): Promise<void>;
  stop(): void;
  /** The caller a token belongs to, or undefined when it is none of the file's. */
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
      const hash = hashOf(token);
      // The map is keyed by hashes: what its timing could tell is about a hash the asker cannot choose, never about a token.
      const entry = entries.get(hash);
      if (!entry || !sameHash(hash, entry.sha256)) return undefined;
      const { name, roles, scope, expiresAt } = entry;
      if (expiresAt !== undefined && Date.parse(expiresAt) <= clock.now()) return undefined;
      return { name, roles, via: 'token-file', scope, expiresAt };
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
