/**
 * The transparency log, as the registry keeps it: what was published, in order, signed, never taken back. Nodes and auditors read it
 * themselves and believe nobody, this registry included.
 *
 * Promises:
 * L1. What can be found in the catalog stands in the log: the entry comes before the version, and a version published again that is not in
 *     the log is put there.
 * L2. A log that is broken (changed, gaps, another history) is not written on: publishing is refused, and health says why.
 * L3. Without a log key nothing is written; what is there can still be read.
 */
import { readFileSync } from 'node:fs';
import {
  type ChainEntry,
  type ChainHead,
  type ChainVerifier,
  type Clock,
  canonicalBytes,
  chainVerifier,
  digestOf,
  Fault,
  type LogBody,
  LogEntry,
  type Logger,
  type Signer,
  sealLogEntry,
  signerFromSeed,
  subjectOf,
  TRANSPARENCY,
  topology,
} from '@cim/contracts';
import type { ChainLog, ChainLogDeps } from './store/chain-log.ts';

export interface Transparency {
  /** Puts what was done into the log. @throws Fault `log-forked`, and those of the hub: then it must not be done */
  say(body: LogBody): Promise<void>;
  /** The same for a bundle, unless it stands there already (L1). */
  sayPublished(body: Extract<LogBody, { type: 'bundle-published' }>): Promise<void>;
  /** At most `max` entries after a place. @throws Fault */
  read(after: number, max: number): Promise<LogEntry[]>;
  head(): Promise<ChainHead | undefined>;
  /** Public key that signs here, where one is set. */
  readonly key: string | undefined;
  trouble(): string | undefined;
}

export interface TransparencyDeps {
  readonly log: Logger;
  readonly signer: Signer | undefined;
  readonly chain: (deps: Omit<ChainLogDeps<LogBody>, 'clock' | 'hub'>) => ChainLog<LogBody>;
}

/** The log key of a file. @throws Fault `configuration-invalid` */
export function logSigner(file: string | undefined): Signer | undefined {
  if (file === undefined) return undefined;
  try {
    return signerFromSeed(readFileSync(file, 'utf8'));
  } catch (cause) {
    const message = `cannot read a seed from ${file}: ${(cause as Error).message}`;
    throw new Fault('configuration-invalid', `transparency.seedFile: ${message}`, {
      cause,
      issues: [{ path: 'transparency.seedFile', message }],
    });
  }
}

export function createTransparency({ log, signer, chain }: TransparencyDeps): Transparency {
  const published = new Set<string>();
  let verifier: ChainVerifier = chainVerifier(TRANSPARENCY);
  let broken: string | undefined;

  const idOf = (body: LogBody) => digestOf(canonicalBytes(body));
  const entries = chain({
    stream: topology.transparency.name,
    filter: topology.transparency.subjects[0],
    chain: TRANSPARENCY,
    schema: LogEntry as never,
    idOf,
    // From the first on: only who has read all of it can say that it is whole.
    begin: () => 1,
    ...(signer ? { seal: (entry: ChainEntry<LogBody>) => sealLogEntry(entry, signer) } : {}),
    seen({ entry }) {
      const { sequence, previous, hash, body } = entry;
      const fault = verifier.push({ sequence, previous, hash, body });
      if (fault && broken === undefined) {
        broken = `${fault.kind}: ${fault.detail}`;
        log.error({ detail: broken }, 'the transparency log is broken');
      }
      if (body.type === 'bundle-published') published.add(body.digest);
    },
    anew() {
      log.error({ stream: topology.transparency.name }, 'the transparency log was made anew: what it held is gone');
      published.clear();
      verifier = chainVerifier(TRANSPARENCY);
      broken = undefined;
    },
  });

  const say = async (body: LogBody, unless: () => boolean = () => false) => {
    if (!signer) return;
    await entries.append(idOf(body), subjectOf('transparency', { type: body.type }), () => {
      if (broken !== undefined)
        throw new Fault('log-forked', `the transparency log is broken, nothing is published: ${broken}`);
      return unless() ? undefined : body;
    });
  };

  return {
    say: (body) => say(body),
    async sayPublished(body) {
      if (!published.has(body.digest)) await say(body, () => published.has(body.digest));
    },
    read: (after, max) => entries.read(after, max) as Promise<LogEntry[]>,
    head: () => entries.catchUp(),
    key: signer?.publicKey,
    trouble: () => broken ?? entries.trouble(),
  };
}

/** The time of an entry. */
export const stampOf = (clock: Clock): string => new Date(clock.now()).toISOString();
