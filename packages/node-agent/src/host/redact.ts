/**
 * Takes a workload's secrets out of what it says: logs, events and faults leave the node and are kept, so a secret in an error message
 * would be everywhere. The daemon knows each value, since it handed it over.
 *
 * Promises:
 * V1. A value that was handed over never leaves in text that passes here, plain or as JSON, base64 or percent-encoding spells it.
 * V2. Values shorter than {@link SHORTEST} are left: replacing "1" everywhere would hide nothing and break all.
 * What a guest spells in a way of its own passes; that is its author's doing and docs/security.md says so.
 */

/** Characters below which a value is no secret worth the name. */
const SHORTEST = 6;
const MASK = '[secret]';

export interface Redactor {
  /** Remembers a value that was handed to the guest. */
  learn(secret: string): void;
  text(said: string): string;
  /** The same for a JSON value, keys included. */
  value<T>(said: T): T;
}

export function createRedactor(): Redactor {
  const known = new Set<string>();
  /** Longest first, so that a part never hides the whole. */
  let spellings: readonly string[] = [];

  const text = (said: string): string => {
    let clean = said;
    for (const spelling of spellings) if (clean.includes(spelling)) clean = clean.replaceAll(spelling, MASK);
    return clean;
  };
  return {
    learn(secret) {
      if (secret.length < SHORTEST || known.has(secret)) return;
      known.add(secret);
      spellings = [...new Set([...known].flatMap(spellingsOf))].sort((a, b) => b.length - a.length);
    },
    text,
    value<T>(said: T): T {
      if (spellings.length === 0) return said;
      const json = JSON.stringify(said);
      if (json === undefined) return said;
      const clean = text(json);
      return clean === json ? said : (JSON.parse(clean) as T);
    },
  };
}

function spellingsOf(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  const bytes = Buffer.from(secret, 'utf8');
  return [
    secret,
    json,
    // A stack or a field that was JSON once and became JSON again.
    JSON.stringify(json).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ];
}
