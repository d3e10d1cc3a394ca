/**
 * Checks a bundle the way a node does, and says all it finds, one line a check: what was looked at, how it came out, and by which evidence.
 * Nothing is left out because something else failed.
 */
import {
  type Attestation,
  type BundleStatement,
  claimedStatement,
  digestOf,
  type Envelope,
  Fault,
  type Manifest,
  manifestDigest,
  revocationOf,
  scopeIssues,
  statementSigners,
  type Trust,
  type TrustedSigner,
  validityOf,
  verifyProvenance,
} from '@cim/contracts';
import type { LogCheck } from '../trust/log.ts';
import { openBundle } from './bundle.ts';

export type VerifyResult = LogCheck;

export interface Verification {
  readonly facts: {
    readonly digest: string;
    readonly size: number;
    readonly name?: string;
    readonly version?: string;
    readonly sequence?: number;
  };
  /** None failed: it may be run where these are trusted. */
  readonly results: readonly VerifyResult[];
}

export interface Evidence {
  readonly bytes: Uint8Array;
  readonly envelope: Envelope | undefined;
  readonly attestation?: Attestation | undefined;
  readonly trust: Trust;
  /** ms since 1970. */
  readonly now: number;
  /** Highest sequence known to be published under this name and key. */
  readonly newest?: { readonly version: string; readonly sequence: number } | undefined;
  /** Of the trust document. */
  readonly document?: Pick<VerifyResult, 'result' | 'evidence'>;
  /** What the transparency log says of a digest; absent: nobody was asked. */
  readonly logged?: (digest: string) => Pick<VerifyResult, 'result' | 'evidence'>;
}

export async function verifyBundle(of: Evidence): Promise<Verification> {
  const { bytes, envelope, trust, now } = of;
  const results: VerifyResult[] = [];
  const say = (check: string, result: VerifyResult['result'], evidence: string) =>
    void results.push({ check, result, evidence });
  const judge = async <T>(
    check: string,
    work: () => T | Promise<T>,
    evidence: (value: T) => string,
  ): Promise<T | undefined> => {
    try {
      const value = await work();
      say(check, 'ok', evidence(value));
      return value;
    } catch (error) {
      say(check, 'failed', Fault.of(error, (error as Error).message).detail);
      return undefined;
    }
  };
  const same = (check: string, signed: unknown, found: unknown, evidence: string) =>
    signed === found ? say(check, 'ok', evidence) : say(check, 'failed', `signed for ${signed}, found ${found}`);

  const digest = digestOf(bytes);
  const opened = await judge(
    'archive',
    () => openBundle(bytes),
    ({ manifest, contents }) => `${manifest.name}@${manifest.version}, ${contents.assets.length} assets`,
  );
  const facts = { digest, size: bytes.length };
  if (!envelope) {
    say('signature', 'failed', 'there is no signature beside the bundle');
    return { facts, results };
  }
  const said = await judge(
    'statement',
    () => claimedStatement(envelope),
    ({ name, version }) => `about ${name}@${version}`,
  );
  if (!said) return { facts, results };
  same('digest', said.digest, digest, digest);
  same('size', said.size, bytes.length, `${bytes.length} bytes`);
  if (opened) manifestChecks(said, opened.manifest, same);
  const signers = await judge(
    'signature',
    () => statementSigners(envelope, trust.publishers).signers,
    (all) => `fits the key of ${all.map(({ name, key }) => `${name} (${key})`).join(', ')}`,
  );
  if (of.document) say('trust document', of.document.result, of.document.evidence);
  const signer = signers && signerChecks(of, said, signers, opened?.manifest, say);
  // A revoked key may be trusted nowhere any more: then it is not merely unknown.
  const gone = signers ? undefined : envelope.signatures.find(({ keyid }) => trust.revokedKeys.has(keyid));
  if (gone) say('signer not revoked', 'failed', `the key ${gone.keyid} was revoked: ${trust.revokedKeys.get(gone.keyid)}`);
  sequenceCheck(said, of.newest, say);
  await provenanceChecks(said, of.attestation, signer ? trust.publishers : [], judge, say);
  if (of.logged) {
    const { result, evidence } = of.logged(said.digest);
    say('transparency', result, evidence);
  } else say('transparency', 'not-applicable', 'no log key is known here (trust.logs of the profile, or --log-key)');
  const { name, version, sequence } = said;
  return { facts: { ...facts, name, version, sequence }, results };

  function signerChecks(
    { trust: { revokedKeys, revokedBundles } }: Evidence,
    statement: BundleStatement,
    all: readonly TrustedSigner[],
    manifest: Manifest | undefined,
    tell: typeof say,
  ): TrustedSigner | undefined {
    // As a node does: the first whose word counts; where none does, the first one's faults are shown.
    const faultOf = (one: TrustedSigner) =>
      revocationOf(trust, { publisher: one.key, digest: statement.digest }) ?? validityOf(one, now);
    const chosen = all.find((one) => faultOf(one) === undefined) ?? all[0]!;
    tell('signer trusted', 'ok', `${chosen.name} is a publisher trusted here`);
    const expired = validityOf(chosen, now);
    if (expired) tell('signer valid', 'failed', expired.detail);
    else if (chosen.validFrom === undefined && chosen.validUntil === undefined)
      tell('signer valid', 'ok', 'the key has no time bounds');
    else tell('signer valid', 'ok', `from ${chosen.validFrom ?? 'ever'} until ${chosen.validUntil ?? 'ever'}`);
    const why = revokedKeys.get(chosen.key);
    const known = of.document?.result === 'ok';
    if (why !== undefined) tell('signer not revoked', 'failed', `the key was revoked: ${why}`);
    else if (known) tell('signer not revoked', 'ok', `not among ${revokedKeys.size} revoked keys`);
    else tell('signer not revoked', 'not-applicable', 'no trust document counts here');
    const gone = revokedBundles.get(statement.digest);
    if (gone !== undefined) tell('bundle not revoked', 'failed', `the bundle was revoked: ${gone}`);
    else if (known) tell('bundle not revoked', 'ok', `not among ${revokedBundles.size} revoked bundles`);
    else tell('bundle not revoked', 'not-applicable', 'no trust document counts here');
    if (chosen.scopes === undefined) tell('scope', 'ok', `${chosen.name} may sign anything`);
    else if (manifest) {
      const issues = scopeIssues(manifest, chosen);
      if (issues.length === 0) tell('scope', 'ok', 'name, capabilities and grants are within what the signer may sign');
      else tell('scope', 'failed', issues.map(({ path, message }) => `${path}: ${message}`).join('; '));
    } else tell('scope', 'not-applicable', 'the manifest cannot be read');
    return chosen;
  }
}

function manifestChecks(
  said: BundleStatement,
  manifest: Manifest,
  same: (check: string, signed: unknown, found: unknown, evidence: string) => void,
): void {
  const { name, version, kind } = manifest;
  same('manifest', said.manifestDigest, manifestDigest(manifest), said.manifestDigest);
  same('identity', `${said.kind} ${said.name}@${said.version}`, `${kind} ${name}@${version}`, `${kind} ${name}@${version}`);
}

function sequenceCheck(
  { sequence }: BundleStatement,
  newest: Evidence['newest'],
  say: (check: string, result: VerifyResult['result'], evidence: string) => void,
): void {
  if (!newest) say('sequence', 'not-applicable', `${sequence}; nothing else of this name is known here`);
  else if (sequence >= newest.sequence) say('sequence', 'ok', `${sequence}, none published is higher`);
  // No fault of the bundle: it is what an older version looks like.
  else
    say(
      'sequence',
      'ok',
      `${sequence}; ${newest.version} has ${newest.sequence}, so a node that ran that takes this one only with --rollback`,
    );
}

async function provenanceChecks(
  said: BundleStatement,
  attestation: Attestation | undefined,
  trusted: readonly TrustedSigner[],
  judge: <T>(check: string, work: () => T, evidence: (value: T) => string) => Promise<T | undefined>,
  say: (check: string, result: VerifyResult['result'], evidence: string) => void,
): Promise<void> {
  if (said.provenance === undefined) return say('provenance', 'not-applicable', 'the signed statement names none');
  if (!attestation) return say('provenance', 'failed', `the signed statement names ${said.provenance}, and it is not there`);
  const found = await judge(
    'provenance',
    () => verifyProvenance(said, attestation, trusted),
    ({ statement, signer }) => {
      const [source] = statement.predicate.buildDefinition.resolvedDependencies;
      const { builder } = statement.predicate.runDetails;
      const commit = source?.digest?.['gitCommit'];
      const dirty = source?.annotations?.['dirty'] === true ? ' with changes that were not committed' : '';
      const version = Object.entries(builder.version ?? {}).map(([name, value]) => `${name} ${value}`);
      return `bound to this bundle, signed by ${signer.name}; source ${source?.digest?.['sha256']?.slice(0, 12) ?? 'unknown'}${commit === undefined ? '' : `, commit ${commit.slice(0, 12)}${dirty}`}; built by ${version.join(', ') || builder.id}`;
    },
  );
  if (!found) return;
  const licences = new Set(
    found.sbom.components.flatMap(({ licenses }) =>
      (licenses ?? []).map(
        (one) => (one as { expression?: string }).expression ?? (one as { license?: { name?: string } }).license?.name,
      ),
    ),
  );
  say(
    'bill of materials',
    'ok',
    `${found.sbom.components.length} dependencies${licences.size === 0 ? '' : ` (${[...licences].sort().join(', ')})`}`,
  );
}
