/** Trust from a program: what the verbs `trust`, `sign`, `submit` and `audit verify` do. */
import { type ChainHead, Fault, type Signer, type TrustedSigner, type TrustRecord } from '@cim/contracts';
import type { RegistryClient } from '../registry/client.ts';
import { nextTrust, type TrustAuthor, type TrustChange } from './document.ts';
import { type LogWalk, type Witnessed, walkLog } from './log.ts';
import { type Paper, signPaper } from './papers.ts';
import { type Footing, footing, type Roots } from './roots.ts';

export interface TrustDoor {
  /** The document that stands at the registry, or undefined. */
  show(): Promise<TrustRecord | undefined>;
  /** The next document with this change, signed by the operator keys at hand. */
  draft(
    change: TrustChange,
    author: Pick<TrustAuthor, 'reason' | 'expires' | 'refreshWithinMs'>,
  ): Promise<Extract<Paper, { kind: 'trust' }>>;
  /** Gives a document to the registry. @throws Fault `threshold-unmet` and those of judgeTrust */
  publish(record: TrustRecord): Promise<{ readonly changed: boolean }>;
  /** The profile's roots with the registry's trust document on top, if they vouch for it. */
  footing(roots: Roots): Promise<Footing>;
  /** Walks the whole transparency log. @param saved a head from elsewhere */
  audit(logs: readonly TrustedSigner[], saved: ChainHead | undefined): Promise<LogWalk>;
}

export interface TrustDoorDeps {
  readonly registry: RegistryClient;
  readonly signers: () => readonly Signer[];
  readonly now: () => number;
}

export function trustDoor({ registry, signers, now }: TrustDoorDeps): TrustDoor {
  return {
    show: async () => (await registry.trust())?.record,
    async draft(change, said) {
      const by = signers();
      if (by.length === 0)
        throw new Fault('invalid-input', 'no operator key is set: alchemist keys new operator, or --operator-seed <file>');
      const [before, nodes, { name }] = await Promise.all([registry.trust(), registry.nodes(), registry.whoami()]);
      // What nodes have taken in stays taken in, whatever the hub has lost.
      const seen = Math.max(0, ...nodes.map(({ status }) => status?.trust?.sequence ?? 0));
      const document = nextTrust(before?.record.document, change, { issuedBy: name, now: now(), ...said }, seen);
      return signPaper({ kind: 'trust', record: { document, signatures: [] } }, by) as Extract<Paper, { kind: 'trust' }>;
    },
    publish: (record) => registry.putTrust(record),
    footing: (roots) => footing(roots, registry, now()),
    async audit(logs, saved) {
      const nodes = await registry.nodes();
      const heads: Witnessed[] = nodes.flatMap(({ instance, status }) =>
        status?.trust?.log === undefined ? [] : [{ ...status.trust.log, by: instance }],
      );
      return walkLog(registry, logs, [...(saved === undefined ? [] : [{ ...saved, by: 'the saved head' }]), ...heads]);
    },
  };
}
