/**
 * Hash chains: how a log says that nothing in it was changed, dropped, put in or told twice. The transparency log and the audit log are
 * both chains; they differ in name and body only.
 *
 * Promises:
 * C1. The hash of an entry binds the chain's name, its place in the chain, everything before it and its body: who changes one byte
 *     anywhere changes every later hash.
 * C2. An entry of one chain is never an entry of another (domain separation by name), nor a signature payload or a bundle.
 * C3. What is wrong is told apart and with its place: a `gap` (an entry is missing), a `fork` (an entry belongs to another history) or
 *     `tampered` (an entry does not fit its own hash). The first one found is told.
 * C4. A verifier holds one head, whatever the length of the log.
 */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { Digest } from './ids.ts';
import { canonicalBytes, digestOf } from './signing.ts';

/** Where a chain ends: what a reader remembers to notice a rewritten history. */
export const ChainHead = z
  .strictObject({
    sequence: z.int().positive().describe('Number of the last entry; the first is 1.'),
    hash: Digest.describe('Hash of the last entry.'),
  })
  .meta({ id: 'ChainHead' });
export type ChainHead = z.infer<typeof ChainHead>;

/** One entry. `body` is any JSON value; the log's own schema says which. */
export interface ChainEntry<Body = unknown> {
  readonly sequence: number;
  /** Hash of the entry before; of the first entry: {@link genesis} of the chain. */
  readonly previous: Digest;
  readonly hash: Digest;
  readonly body: Body;
}

/** The schema of an entry around the schema of its body; `.extend` it for what stands beside (a signature). */
export const chainEntry = <Body extends z.ZodType>(body: Body) =>
  z.strictObject({
    sequence: z.int().positive().describe('Number of the entry; the first is 1, with no gaps.'),
    previous: Digest.describe('Hash of the entry before.'),
    hash: Digest.describe('SHA-256 over the name of the chain and the canonical JSON of sequence, previous and body.'),
    body,
  });

/** What is wrong with a chain. `position` is the sequence number at which it shows. */
export type ChainFault =
  | { readonly kind: 'gap'; readonly position: number; readonly found: number; readonly detail: string }
  | { readonly kind: 'fork'; readonly position: number; readonly detail: string }
  | { readonly kind: 'tampered'; readonly position: number; readonly detail: string };
/** `head` is undefined for an empty chain. */
export type ChainVerdict = { readonly kind: 'whole'; readonly head: ChainHead | undefined } | ChainFault;

const CHAIN_NAME = /^[a-z][a-z0-9-]{0,62}$/;

function prefix(chain: string): string {
  if (!CHAIN_NAME.test(chain)) throw new RangeError(`chain: expected a name of a-z, 0-9 and "-", found "${chain}"`);
  return `cim.chain.v1\0${chain}\0`;
}

/** What the first entry of a chain names as its previous. */
export const genesis = (chain: string): Digest => digestOf(new TextEncoder().encode(prefix(chain)));

/**
 * Hash of an entry: SHA-256 of `cim.chain.v1 NUL <chain> NUL` and the canonical JSON of {sequence, previous, body}.
 * @throws Fault `invalid-input` when the body has no JSON form
 */
export function entryHash(
  chain: string,
  entry: { readonly sequence: number; readonly previous: Digest; readonly body: unknown },
): Digest {
  const { sequence, previous, body } = entry;
  const hash = createHash('sha256').update(prefix(chain)).update(canonicalBytes({ sequence, previous, body }));
  return Digest.parse(`sha256:${hash.digest('hex')}`);
}

/** The entry that follows `head` (undefined: the first of the chain). */
export function link<Body>(chain: string, head: ChainHead | undefined, body: Body): ChainEntry<Body> {
  const sequence = (head?.sequence ?? 0) + 1;
  const previous = head?.hash ?? genesis(chain);
  return { sequence, previous, hash: entryHash(chain, { sequence, previous, body }), body };
}

export const headOf = ({ sequence, hash }: ChainEntry): ChainHead => ({ sequence, hash });

/**
 * Where to begin: after a head that is remembered; at the first entry of the chain (absent); or at whatever comes first (`'first'`: for a
 * log that forgets its old end, where nothing can be said of what is gone).
 */
export type ChainStart = ChainHead | 'first' | undefined;

export interface ChainVerifier {
  /** Takes the next entry. The fault, if there is one; the head does not move then and the same entry may be tried again. */
  push(entry: ChainEntry): ChainFault | undefined;
  head(): ChainHead | undefined;
}

/** Verifies a chain as it streams by. */
export function chainVerifier(chain: string, from?: ChainStart): ChainVerifier {
  let head = from === 'first' ? undefined : from;
  let open = from === 'first';
  return {
    head: () => head,
    push(entry) {
      const position = entry.sequence;
      const expected = open ? position : (head?.sequence ?? 0) + 1;
      if (position > expected) {
        const missing = position - expected === 1 ? `entry ${expected} is` : `entries ${expected} to ${position - 1} are`;
        return { kind: 'gap', position: expected, found: position, detail: `${missing} missing before entry ${position}` };
      }
      if (position < expected) {
        const detail = `entry ${position} came again after entry ${expected - 1}`;
        return { kind: 'fork', position, detail };
      }
      const fits = entryHash(chain, entry);
      if (fits !== entry.hash) {
        return { kind: 'tampered', position, detail: `entry ${position} says ${entry.hash}, its bytes have ${fits}` };
      }
      const previous = head?.hash ?? (open ? entry.previous : genesis(chain));
      if (entry.previous !== previous) {
        const detail = `entry ${position} follows ${entry.previous}, entry ${position - 1} known here is ${previous}`;
        return { kind: 'fork', position, detail };
      }
      open = false;
      head = headOf(entry);
      return undefined;
    },
  };
}

/** Verifies entries in the order given. An empty list is whole, with the head it began from. */
export function verifyChain(
  chain: string,
  entries: Iterable<ChainEntry>,
  options: { readonly from?: ChainStart } = {},
): ChainVerdict {
  const verifier = chainVerifier(chain, options.from);
  for (const entry of entries) {
    const fault = verifier.push(entry);
    if (fault) return fault;
  }
  return { kind: 'whole', head: verifier.head() };
}
