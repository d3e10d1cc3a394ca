/**
 * Whether what this node holds of trust is as new as it must be: a hub that shows an old document for ever hides revocations with it. Pure.
 *
 * Two things tell: the promise of the operators in the document itself (`refreshBy`), and the transparency log, where one is configured,
 * which has an entry for every document that was published. Neither stops anything that runs: late operators are no attack.
 */
import type { Condition, TrustDocument } from '@cim/contracts';

/** The newest document the log speaks of. */
export interface PublishedTrust {
  readonly sequence: number;
  /** When this node read of it, ms since 1970. */
  readonly readAt: number;
}

/** The log's entry comes first, the document after it: so long the one may be here without the other. */
const BETWEEN_MS = 30_000;

/** @param now ms since 1970 */
export function staleness(
  document: TrustDocument | undefined,
  published: PublishedTrust | undefined,
  now: number,
): readonly Condition[] {
  const held = document === undefined ? 'no document' : `document ${document.sequence}`;
  const stale = (since: number, detail: string): Condition => ({
    code: 'trust-stale',
    severity: 'warning',
    title: 'A newer trust document should be here: the hub may be withholding it',
    detail,
    since: new Date(since).toISOString(),
  });
  if (published !== undefined && published.sequence > (document?.sequence ?? 0) && now - published.readAt >= BETWEEN_MS)
    return [
      stale(
        published.readAt,
        `the transparency log says that document ${published.sequence} was published, this node was shown ${held}`,
      ),
    ];
  if (document?.refreshBy !== undefined && now >= Date.parse(document.refreshBy))
    return [
      stale(
        Date.parse(document.refreshBy),
        `operators promised a newer document by ${document.refreshBy}, this node was shown ${held}: they are late, or it is withheld`,
      ),
    ];
  return [];
}
