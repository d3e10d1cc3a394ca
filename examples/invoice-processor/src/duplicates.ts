/**
 * Has this document been here before?
 *
 * Promises:
 * K1. Of any number of calls with the same document at the same time exactly one is `first`: the key-value store decides.
 * K2. The digest is of what the document says, not of its bytes: other prefixes, comments or indentation are a duplicate;
 *     any other text or attribute under the same seller, number and date is a `conflict`.
 * K3. A claim whose owner fell over before it announced the document is taken over after {@link lease}; so the event
 *     comes at least once, and only after a fall more than once.
 */
import type { Kv } from '@cim/alchemist/agent';
import { sha256 } from './sha256.ts';
import type { Invoice } from './ubl.ts';
import type { Element } from './xml.ts';

/** What is remembered of a document. */
export type Claim = {
  readonly digest: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Id of the call that brought it. */
  readonly call: string;
  readonly announced: boolean;
};

export type Standing =
  | { readonly state: 'first'; readonly key: string; readonly digest: string }
  | {
      readonly state: 'duplicate' | 'conflict';
      readonly key: string;
      readonly digest: string;
      readonly firstSeen: string;
      readonly firstCall: string;
    }
  | { readonly state: 'unidentified'; readonly digest: string };

/** Milliseconds after which an unannounced claim is nobody's: longer than any call may take. */
export const lease = 120_000;

/** The same for two documents that say the same (K2). Children keep their order, attributes do not matter in theirs. */
export function contentDigest(root: Element): string {
  const flat = (each: Element): unknown => [
    each.namespace,
    each.local,
    [...each.attributes].sort(([a], [b]) => (a < b ? -1 : 1)),
    each.children.length > 0 ? each.children.map(flat) : each.text,
  ];
  return sha256(JSON.stringify(flat(root)));
}

/** The key of a document: seller, number and date. `undefined` when one of them is not known. */
export function documentKey({ seller, id, issueDate }: Invoice): string | undefined {
  const party = seller.vatId ?? seller.legalId ?? seller.partyId ?? seller.endpoint ?? seller.name;
  if (party === undefined || id === undefined || issueDate === undefined) return undefined;
  // Hashed, since numbers of invoices hold characters a key must not have.
  return `seen.${sha256(JSON.stringify([party, id, issueDate])).slice(0, 40)}`;
}

function standingOf(claim: Claim, key: string, digest: string): Standing {
  const state = claim.digest === digest ? 'duplicate' : 'conflict';
  return { state, key, digest, firstSeen: new Date(claim.at).toISOString(), firstCall: claim.call };
}

/** Looks without leaving a trace: for documents that are refused anyway. */
export async function look(kv: Kv, key: string | undefined, digest: string): Promise<Standing> {
  if (key === undefined) return { state: 'unidentified', digest };
  const claim = await kv.get<Claim>(key);
  return claim === undefined ? { state: 'first', key, digest } : standingOf(claim, key, digest);
}

/** Claims the document for this call. @returns `first` for exactly one of several (K1) */
export async function claim(kv: Kv, key: string | undefined, digest: string, call: string, now: number): Promise<Standing> {
  if (key === undefined) return { state: 'unidentified', digest };
  const mine: Claim = { digest, at: now, call, announced: false };
  // Twice: an entry can vanish between the two questions, when the claim before it was given back.
  for (let attempt = 0; attempt < 2; attempt++) {
    if ((await kv.create(key, mine)) !== undefined) return { state: 'first', key, digest };
    const entry = await kv.entry<Claim>(key);
    if (entry === undefined) continue;
    const { value, revision } = entry;
    const abandoned = !value.announced && now - value.at > lease;
    if (abandoned && (await kv.update(key, mine, revision)) !== undefined) return { state: 'first', key, digest };
    return standingOf(abandoned ? ((await kv.get<Claim>(key)) ?? value) : value, key, digest);
  }
  throw new Error('the key-value store neither creates nor shows the claim; send the document again');
}
