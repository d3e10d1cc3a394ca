/** The next trust document. Pure: what stands, what is wished, who and when. */
import { Digest, decode, Fault, PublicKey, TrustDocument, type TrustedKey } from '@cim/contracts';

/** One change; what it does not mention stays. */
export type TrustChange =
  | { readonly kind: 'revoke-key'; readonly key: string }
  | { readonly kind: 'revoke-bundle'; readonly digest: string }
  | { readonly kind: 'add'; readonly publisher: TrustedKey }
  | { readonly kind: 'remove'; readonly key: string }
  | { readonly kind: 'log-start'; readonly hash: string }
  /** As it is, with another sequence and signatures: after operators have changed, or with another end. */
  | { readonly kind: 'renew' };

export interface TrustAuthor {
  readonly issuedBy: string;
  /** ms since 1970. */
  readonly now: number;
  readonly reason?: string | undefined;
  readonly expires?: string | undefined;
  /** A newer document is promised within this time, ms; 0 promises nothing any more. Absent: within the time promised before. */
  readonly refreshWithinMs?: number | undefined;
}

/**
 * @param seen highest sequence any node has taken in: a hub that lost its memory goes on above it
 * @throws Fault `invalid-input`, `conflict` when it is so already, `not-found` when what shall be removed is not there
 */
export function nextTrust(
  before: TrustDocument | undefined,
  change: TrustChange,
  author: TrustAuthor,
  seen = 0,
): TrustDocument {
  const at = new Date(author.now).toISOString();
  const reason = author.reason ?? 'no reason given';
  let publishers = before?.publishers ?? [];
  let revokedKeys = before?.revokedKeys ?? [];
  let revokedBundles = before?.revokedBundles ?? [];
  let logStart = before?.logStart;
  switch (change.kind) {
    case 'revoke-key': {
      const key = decode(PublicKey, change.key, 'key');
      if (revokedKeys.some((one) => one.key === key)) throw new Fault('conflict', `${key} is revoked already`);
      revokedKeys = [...revokedKeys, { key, reason, at }];
      publishers = publishers.filter((one) => one.key !== key);
      break;
    }
    case 'revoke-bundle': {
      const digest = decode(Digest, change.digest, 'digest');
      if (revokedBundles.some((one) => one.digest === digest)) throw new Fault('conflict', `${digest} is revoked already`);
      revokedBundles = [...revokedBundles, { digest, reason, at }];
      break;
    }
    case 'add':
      if (revokedKeys.some(({ key }) => key === change.publisher.key))
        throw new Fault('conflict', `${change.publisher.key} was revoked; a revocation is for ever, make a new key`);
      publishers = [...publishers.filter(({ key }) => key !== change.publisher.key), change.publisher];
      break;
    case 'remove':
      if (!publishers.some(({ key, name }) => key === change.key || name === change.key))
        throw new Fault('not-found', `the trust document adds no publisher ${change.key}`);
      publishers = publishers.filter(({ key, name }) => key !== change.key && name !== change.key);
      break;
    case 'log-start':
      logStart = decode(Digest, change.hash, 'hash');
      break;
    case 'renew':
      break;
  }
  const expires = author.expires ?? before?.expires;
  const within =
    author.refreshWithinMs ??
    (before?.refreshBy === undefined ? 0 : Date.parse(before.refreshBy) - Date.parse(before.issuedAt));
  return decode(
    TrustDocument,
    {
      api: 1,
      sequence: Math.max(before?.sequence ?? 0, seen) + 1,
      issuedAt: at,
      issuedBy: author.issuedBy.slice(0, 200),
      ...(expires === undefined ? {} : { expires }),
      ...(within > 0 ? { refreshBy: new Date(author.now + within).toISOString() } : {}),
      ...(author.reason === undefined ? {} : { reason: author.reason }),
      publishers,
      revokedKeys,
      revokedBundles,
      ...(logStart === undefined ? {} : { logStart }),
    },
    'trust document',
  );
}
