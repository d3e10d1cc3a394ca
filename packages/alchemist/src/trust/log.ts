/**
 * An auditor's walk over the transparency log: every entry, from the first, believing nobody but the log key.
 *
 * Promises:
 * W1. A changed, dropped, forged or forked entry is found and named with its place.
 * W2. A head that was saved, or that a node vouches for, must lie on the chain: a history rewritten since, or told to that node only, is
 *     found.
 * W3. Everything the catalog offers, and the trust document, must be in the log.
 */
import {
  type ChainHead,
  canonicalBytes,
  digestOf,
  type ErrorCode,
  Fault,
  type LogEntry,
  type LogFault,
  logReader,
  type TrustedSigner,
} from '@cim/contracts';
import type { RegistryClient } from '../registry/client.ts';

export interface LogCheck {
  readonly check: string;
  readonly result: 'ok' | 'failed' | 'not-applicable';
  readonly evidence: string;
}

export interface LogWalk {
  readonly checks: readonly LogCheck[];
  readonly head: ChainHead | undefined;
  /** Digest of each published bundle to its place in the log; of what was read before it broke. */
  readonly places: ReadonlyMap<string, number>;
}

/** A head somebody vouches for. */
export interface Witnessed extends ChainHead {
  readonly by: string;
}

const PAGE = 1_000;
const unreadable: ReadonlySet<string> = new Set<ErrorCode>(['log-forked', 'topology-drift']);

/** @param heads what was seen before, by whom */
export async function walkLog(
  registry: RegistryClient,
  logs: readonly TrustedSigner[],
  heads: readonly Witnessed[],
): Promise<LogWalk> {
  const checks: LogCheck[] = [];
  const say = (check: string, result: LogCheck['result'], evidence: string) => void checks.push({ check, result, evidence });
  const reader = logReader(logs);
  const places = new Map<string, number>();
  const trusted = new Map<string, number>();
  const passed = new Map<number, string>();
  const wanted = new Set(heads.map(({ sequence }) => sequence));
  let broken: LogFault | undefined;
  for (let after = 0; !broken; ) {
    const page = await registry.log(after, PAGE).catch((error): LogEntry[] => {
      // What cannot be read as a log is no log; that nobody answers is another matter.
      if (!(error instanceof Fault) || !unreadable.has(error.code)) throw error;
      broken = { kind: 'tampered', position: after + 1, detail: error.detail };
      return [];
    });
    if (page.length === 0) break;
    for (const entry of page) {
      broken = reader.push(entry);
      if (broken) break;
      note(entry, places, trusted);
      if (wanted.has(entry.sequence)) passed.set(entry.sequence, entry.hash);
    }
    after += page.length;
  }
  const head = reader.head();
  if (broken) say('chain', 'failed', `${broken.kind} at ${broken.position}: ${broken.detail}`);
  else if (!head) say('chain', 'not-applicable', 'the log is empty');
  else say('chain', 'ok', `${head.sequence} entries, each signed, ending with ${head.hash}`);
  for (const { by, sequence, hash } of heads) {
    const found = passed.get(sequence);
    if (found === hash) say('head', 'ok', `entry ${sequence} is the one ${by} has seen`);
    else if (found === undefined && broken)
      say('head', 'not-applicable', `entry ${sequence}, seen by ${by}, lies behind the break`);
    else
      say(
        'head',
        'failed',
        `${by} has seen entry ${sequence} as ${hash}, the log ${found === undefined ? `ends at ${head?.sequence ?? 0}` : `has ${found}`}`,
      );
  }
  if (!broken) {
    await catalogIn(registry, places, say);
    await trustIn(registry, trusted, say);
  }
  return { checks, head, places };
}

function note({ sequence, body }: LogEntry, places: Map<string, number>, trusted: Map<string, number>): void {
  if (body.type === 'bundle-published' && !places.has(body.digest)) places.set(body.digest, sequence);
  if (body.type === 'trust-published') trusted.set(body.document, sequence);
}

type Say = (check: string, result: LogCheck['result'], evidence: string) => void;

async function catalogIn(registry: RegistryClient, places: ReadonlyMap<string, number>, say: Say): Promise<void> {
  const all = (await registry.catalog()).flatMap(({ name, versions }) =>
    versions.map(({ version, digest }) => ({ name, version, digest })),
  );
  const missing = all.filter(({ digest }) => !places.has(digest));
  if (all.length === 0) return say('catalog', 'not-applicable', 'nothing is published');
  if (missing.length === 0) return say('catalog', 'ok', `all ${all.length} published versions are in the log`);
  const listed = missing.slice(0, 10).map(({ name, version, digest }) => `${name}@${version} (${digest})`);
  say('catalog', 'failed', `${missing.length} of ${all.length} published versions are not in the log: ${listed.join(', ')}`);
}

async function trustIn(registry: RegistryClient, trusted: ReadonlyMap<string, number>, say: Say): Promise<void> {
  const stored = await registry.trust().catch((error) => {
    throw Fault.of(error);
  });
  if (!stored) return say('trust document', 'not-applicable', 'there is none');
  const { document } = stored.record;
  const place = trusted.get(digestOf(canonicalBytes(document)));
  if (place === undefined) say('trust document', 'failed', `document ${document.sequence} is not in the log`);
  else say('trust document', 'ok', `document ${document.sequence} is entry ${place}`);
}
