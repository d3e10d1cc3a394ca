/**
 * The trust document at the registry: kept in the hub's KV for every node to read, written only after it was verified as a node would.
 *
 * Promises:
 * R1. What is stored was signed by enough of the configured operators, follows the one before, and leaves out no revocation.
 * R2. It is in the transparency log before it can be read, so that a revocation nobody was told of can be seen.
 * R3. Whatever the registry judges (publishes, desired documents) is judged by the newest document.
 */
import {
  type Clock,
  canonicalBytes,
  decodeJson,
  digestOf,
  Fault,
  judgeTrust,
  TRUST_KEY,
  type Trust,
  TrustRecord,
  type TrustRoots,
  trustOf,
} from '@cim/contracts';
import type { Actor, Audit } from './audit.ts';
import { formFault } from './nesting.ts';
import type { Bucket } from './store/bucket.ts';
import { stampOf, type Transparency } from './transparency.ts';

export interface StoredTrust {
  readonly revision: number;
  readonly record: TrustRecord;
}

export interface TrustDesk {
  /** What is trusted now: configuration and the newest document. */
  now(): Promise<Trust>;
  /** @throws Fault `not-found` where there is none yet */
  get(): Promise<StoredTrust>;
  /** R1. @returns false in `changed` when it is the one that stands. @throws Fault those of judgeTrust, `revision-conflict` */
  put(record: TrustRecord, dryRun: boolean, actor: Actor): Promise<StoredTrust & { readonly changed: boolean }>;
}

export interface TrustDeskDeps {
  readonly clock: Clock;
  readonly bucket: Bucket;
  readonly audit: Audit;
  readonly transparency: Transparency;
  readonly roots: TrustRoots;
}

export function createTrustDesk({ clock, bucket, audit, transparency, roots }: TrustDeskDeps): TrustDesk {
  let last: { readonly revision: number; readonly trust: Trust; readonly record: TrustRecord } | undefined;

  /** What stands, judged again: what lies in the hub is believed no more than what comes in. */
  const read = async () => {
    const state = await bucket.state(TRUST_KEY);
    if (!state.bytes) return { state, stored: undefined };
    if (last?.revision !== state.revision) {
      const record = decodeJson(TrustRecord, state.bytes, `${bucket.name} ${TRUST_KEY}`, 'internal');
      last = { revision: state.revision, record, trust: judged(record, roots) };
    }
    return { state, stored: last };
  };

  return {
    async now() {
      return (await read()).stored?.trust ?? trustOf(roots);
    },
    async get() {
      const { stored } = await read();
      if (!stored)
        throw new Fault('not-found', 'no trust document was published yet: alchemist trust sign, then alchemist trust publish');
      return { revision: stored.revision, record: stored.record };
    },
    async put(record, dryRun, actor) {
      const form = formFault(record.document);
      if (form !== undefined)
        throw new Fault('invalid-input', `document: ${form}`, { issues: [{ path: 'document', message: form }] });
      const { state, stored } = await read();
      const verdict = judgeTrust(record, stored?.trust ?? trustOf(roots), clock.now());
      if (verdict === 'unchanged' && stored) return { revision: stored.revision, record: stored.record, changed: false };
      if (dryRun) return { revision: stored?.revision ?? 0, record, changed: true };
      const { document } = record;
      const digest = digestOf(canonicalBytes(document));
      await transparency.say({
        type: 'trust-published',
        at: stampOf(clock),
        by: actor.caller.name,
        sequence: document.sequence,
        document: digest,
      });
      const written = await audit.change({
        action: 'trust.published',
        subject: 'document',
        actor: { ...actor, reason: document.reason ?? actor.reason },
        bucket,
        key: TRUST_KEY,
        value: JSON.stringify(record),
        state,
        data: {
          sequence: document.sequence,
          document: digest,
          issuedBy: document.issuedBy,
          publishers: document.publishers.map(({ name }) => name),
          revokedKeys: document.revokedKeys.map(({ key }) => key),
          revokedBundles: document.revokedBundles.map((one) => one.digest),
        },
      });
      if (written.kind === 'lost')
        throw new Fault('revision-conflict', 'the trust document: another one was published at the same time');
      return { revision: written.revision, record, changed: true };
    },
  };
}

/** Trust by a document that is stored. Where its signatures no longer fit, its revocations count and its additions do not. */
function judged(record: TrustRecord, roots: TrustRoots): Trust {
  try {
    judgeTrust(record, trustOf(roots), 'taken');
    return trustOf(roots, record.document);
  } catch {
    return trustOf(roots, { ...record.document, publishers: [] });
  }
}
