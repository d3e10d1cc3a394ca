/**
 * The transparency log: a hash chain (chain.ts) of what the registry published, each entry signed by the log key. Who has once seen a head
 * can tell ever after whether the history before it was changed.
 *
 * Promises:
 * L1. The signature is over the number and the hash of an entry, and the hash binds all entries before: one signed entry vouches for all.
 * L2. Signed by a log key means nothing else: the payload type is the log's own.
 */
import { type ChainEntry, type ChainFault, type ChainHead, type ChainStart, chainVerifier, headOf, link } from './chain.ts';
import { Fault } from './errors.ts';
import { type LogEntry, TRANSPARENCY } from './schema/log-entry.ts';
import type { LogBody } from './schema/trust.ts';
import { canonicalBytes, LOG_PAYLOAD_TYPE, type Signer, signBytes, signersOf, type TrustedSigner } from './signing.ts';

const signed = ({ sequence, hash }: ChainHead): Uint8Array => canonicalBytes({ sequence, hash });

/** A link of the chain with the signature of the log key. */
export const sealLogEntry = (entry: ChainEntry<LogBody>, signer: Signer): LogEntry => ({
  ...entry,
  signature: signBytes(LOG_PAYLOAD_TYPE, signed(headOf(entry)), signer),
});

/** The entry after `head`, signed. */
export const nextLogEntry = (head: ChainHead | undefined, body: LogBody, signer: Signer): LogEntry =>
  sealLogEntry(link(TRANSPARENCY, head, body), signer);

export type LogFault = ChainFault | { readonly kind: 'unsigned'; readonly position: number; readonly detail: string };

export interface LogReader {
  /** Takes the next entry. The fault, if there is one. */
  push(entry: LogEntry): LogFault | undefined;
  head(): ChainHead | undefined;
}

/** Reads a log on from a head (absent: from its beginning). @param logs keys that may sign it */
export function logReader(logs: readonly TrustedSigner[], from?: ChainStart): LogReader {
  const chain = chainVerifier(TRANSPARENCY, from);
  return {
    head: () => chain.head(),
    push(entry) {
      const { signature, ...linked } = entry;
      const position = entry.sequence;
      try {
        signersOf(LOG_PAYLOAD_TYPE, signed(headOf(linked)), [signature], logs, `log entry ${position}`);
      } catch (error) {
        return { kind: 'unsigned', position, detail: Fault.of(error).detail };
      }
      return chain.push(linked);
    },
  };
}
