/**
 * Judgement: may this key sign this, now? Pure; the same rules at the registry, on a node and on an operator's desk.
 *
 * Promises:
 * J1. What is trusted is configuration and, on top of it, the newest trust document that enough configured operators signed. A document
 *     adds publishers and takes away; it can neither add an operator, nor lower the threshold, nor widen a key of the configuration.
 * J2. A revocation is for ever and needs no clock: a revoked key or digest is refused wherever and whenever it is judged.
 * J3. Validity in time holds back what is new. What was taken in while a key was valid stays good (`taken`), so that neither an expired
 *     key nor a wrong clock stops a fleet that runs.
 * J4. A threshold counts operators, never signatures: two of the same key are one.
 */
import { Fault } from './errors.ts';
import type { FieldIssue } from './field-issues.ts';
import type { Digest, PublicKey } from './ids.ts';
import { hostWithin } from './policy.ts';
import type { Desired } from './schema/desired.ts';
import type { Manifest } from './schema/manifest.ts';
import type { BundleStatement, Envelope, Signature } from './schema/signature.ts';
import { nameWithin } from './schema/token.ts';
import type { TrustDocument, TrustRecord } from './schema/trust.ts';
import {
  canonicalBytes,
  desiredSigners,
  signersOf,
  statementSigners,
  TRUST_PAYLOAD_TYPE,
  type TrustedSigner,
} from './signing.ts';
import { subjectWithin } from './subject.ts';

/** What configuration says; the anchor. */
export interface TrustRoots {
  readonly publishers: readonly TrustedSigner[];
  readonly operators: readonly TrustedSigner[];
  /** How many different operators must sign; nothing where there are no operators. */
  readonly operatorThreshold: number;
}

/** What is trusted now. */
export interface Trust {
  readonly roots: TrustRoots;
  /** Those of the configuration, then those the document adds. */
  readonly publishers: readonly TrustedSigner[];
  readonly document: TrustDocument | undefined;
  readonly revokedKeys: ReadonlyMap<string, string>;
  readonly revokedBundles: ReadonlyMap<string, string>;
}

/** Judged at a moment (ms since 1970), or as something that was judged and taken in before (J3). */
export type When = number | 'taken';

/** Trust as configuration and a document that {@link judgeTrust} let through make it. */
export function trustOf(roots: TrustRoots, document?: TrustDocument): Trust {
  const own = new Set<string>(roots.publishers.map(({ key }) => key));
  const until = document?.expires;
  const ends = ({ validUntil }: TrustedSigner) =>
    validUntil === undefined ? Number.POSITIVE_INFINITY : Date.parse(validUntil);
  const added = (document?.publishers ?? [])
    .filter(({ key }) => !own.has(key))
    .map((one) => (until === undefined || ends(one) < Date.parse(until) ? one : { ...one, validUntil: until }));
  return {
    roots,
    publishers: [...roots.publishers, ...added],
    document,
    revokedKeys: new Map(document?.revokedKeys.map(({ key, reason }) => [key, reason])),
    revokedBundles: new Map(document?.revokedBundles.map(({ digest, reason }) => [digest, reason])),
  };
}

/** Why a publisher's key or a bundle must not run any more, or undefined. */
export function revocationOf(trust: Trust, of: { readonly publisher: PublicKey; readonly digest: Digest }): Fault | undefined {
  const bundle = trust.revokedBundles.get(of.digest);
  if (bundle !== undefined) return new Fault('bundle-revoked', `${of.digest} was revoked: ${bundle}`);
  const key = trust.revokedKeys.get(of.publisher);
  return key === undefined ? undefined : new Fault('publisher-revoked', `the key ${of.publisher} was revoked: ${key}`);
}

/** Why a key may not sign at this moment, or undefined. */
export function validityOf({ name, key, validFrom, validUntil }: TrustedSigner, when: When): Fault | undefined {
  if (when === 'taken') return undefined;
  const say = (what: string) => new Fault('signer-expired', `the key of ${name} (${key}) ${what}`);
  if (validFrom !== undefined && when < Date.parse(validFrom)) return say(`is valid from ${validFrom} on`);
  if (validUntil !== undefined && when >= Date.parse(validUntil)) return say(`was valid until ${validUntil}`);
  return undefined;
}

function nameIssue(name: string, { name: whose, scopes }: TrustedSigner): Fault | undefined {
  if (scopes?.names === undefined || nameWithin(name, scopes.names)) return undefined;
  const message = `"${name}" is not among the names ${whose} may sign for [${scopes.names.join(', ')}]`;
  return new Fault('scope-exceeded', `name: ${message}`, { issues: [{ path: 'name', message }] });
}

/**
 * The statement of an envelope and the publisher who may have signed it: trusted, not revoked, valid then, in scope for the name.
 * @throws Fault `signer-unknown`, `signature-invalid`, `publisher-revoked`, `bundle-revoked`, `signer-expired`, `scope-exceeded`
 */
export function judgeStatement(
  envelope: Envelope,
  trust: Trust,
  when: When,
): { readonly statement: BundleStatement; readonly signer: TrustedSigner } {
  const { statement, signers } = signedBy(envelope, trust);
  let why: Fault | undefined;
  for (const signer of signers) {
    const fault =
      revocationOf(trust, { publisher: signer.key, digest: statement.digest }) ??
      validityOf(signer, when) ??
      nameIssue(statement.name, signer);
    if (fault === undefined) return { statement, signer };
    why ??= fault;
  }
  throw why!;
}

/** As {@link statementSigners}; who is unknown because the key was revoked is told so. */
function signedBy(envelope: Envelope, trust: Trust): ReturnType<typeof statementSigners> {
  try {
    return statementSigners(envelope, trust.publishers);
  } catch (error) {
    const revoked = envelope.signatures.find(({ keyid }) => trust.revokedKeys.has(keyid));
    if (!revoked || !(error instanceof Fault) || error.code !== 'signer-unknown') throw error;
    throw new Fault('publisher-revoked', `the key ${revoked.keyid} was revoked: ${trust.revokedKeys.get(revoked.keyid)}`, {
      cause: error,
    });
  }
}

/** Why what runs may not run any more, or undefined: revoked, its publisher no longer trusted, or out of its scopes. */
export function standingOf(
  trust: Trust,
  of: {
    readonly statement: BundleStatement;
    readonly manifest: Manifest;
    readonly publisher: { readonly name: string; readonly key: PublicKey };
  },
): Fault | undefined {
  const revoked = revocationOf(trust, { publisher: of.publisher.key, digest: of.statement.digest });
  if (revoked) return revoked;
  const signer = trust.publishers.find(({ key }) => key === of.publisher.key);
  if (!signer) return new Fault('signer-unknown', `${of.publisher.name} (${of.publisher.key}) is not trusted any more`);
  try {
    judgeManifest(of.manifest, signer);
    return undefined;
  } catch (error) {
    return Fault.of(error);
  }
}

/** What a manifest asks for beyond what its publisher may ask for; empty when nothing. */
export function scopeIssues(manifest: Manifest, { name: whose, scopes }: TrustedSigner): FieldIssue[] {
  if (scopes === undefined) return [];
  const issues: FieldIssue[] = [];
  const within = (
    path: string,
    asked: readonly string[],
    allowed: readonly string[] | undefined,
    fits: (inner: string, outer: string) => boolean,
  ) => {
    if (allowed === undefined) return;
    for (const one of asked)
      if (!allowed.some((outer) => fits(one, outer)))
        issues.push({ path, message: `"${one}" is not within what ${whose} may ask for [${allowed.join(', ')}]` });
  };
  const { grants } = manifest;
  const bounds = scopes.grants ?? {};
  within('name', [manifest.name], scopes.names, (name, pattern) => nameWithin(name, [pattern]));
  within('capabilities', Object.keys(manifest.capabilities), scopes.capabilities, subjectWithin);
  within('grants.publish', grants.publish, bounds.publish, subjectWithin);
  within('grants.subscribe', grants.subscribe, bounds.subscribe, subjectWithin);
  within('subscribe', manifest.subscribe, bounds.subscribe, subjectWithin);
  within('grants.call', grants.call, bounds.call, subjectWithin);
  within('grants.secrets', grants.secrets, bounds.secrets, (a, b) => a === b);
  within('grants.http', hostsOf(grants), bounds.http, hostWithin);
  if (bounds.kv === false && grants.kv) issues.push({ path: 'grants.kv', message: `${whose} may not ask for a bucket` });
  return issues;
}

/** @throws Fault `scope-exceeded` naming every field */
export function judgeManifest(manifest: Manifest, signer: TrustedSigner): void {
  const issues = scopeIssues(manifest, signer);
  if (issues.length === 0) return;
  throw new Fault('scope-exceeded', issues.map(({ path, message }) => `manifest.${path}: ${message}`).join('; '), {
    issues: issues.map(({ path, message }) => ({ path: `manifest.${path}`, message })),
  });
}

function hostsOf(grants: object): readonly string[] {
  const { http } = grants as { readonly http?: readonly { readonly host: string }[] };
  return (http ?? []).map(({ host }) => host);
}

/** Those of the signers whose word counts. @throws Fault `threshold-unmet`, or why the only signer's does not */
function enough(
  signers: readonly TrustedSigner[],
  revoked: (key: string) => string | undefined,
  threshold: number,
  when: When,
  what: string,
): readonly TrustedSigner[] {
  let why: Fault | undefined;
  const counting = signers.filter((signer) => {
    const reason = revoked(signer.key);
    const fault =
      reason === undefined
        ? validityOf(signer, when)
        : new Fault('operator-revoked', `${what}: the key of ${signer.name} was revoked: ${reason}`);
    why ??= fault;
    return fault === undefined;
  });
  if (counting.length >= threshold) return counting;
  if (threshold === 1 && why) throw why;
  const names = counting.map(({ name }) => name).join(', ') || 'nobody';
  throw new Fault(
    'threshold-unmet',
    `${what}: expected signatures of ${threshold} different operators, found ${counting.length} (${names})${why ? `; ${why.detail}` : ''}`,
  );
}

/**
 * Enough operators stand behind a desired document; nothing is asked where configuration names none.
 * @returns those whose signatures count. @throws Fault `signer-unknown`, `signature-invalid`, `operator-revoked`, `signer-expired`,
 *   `threshold-unmet`
 */
export function judgeDesired(
  document: Desired,
  signatures: readonly Signature[],
  { roots, revokedKeys }: Trust,
  when: When,
): readonly TrustedSigner[] {
  if (roots.operators.length === 0) return [];
  const signers = desiredSigners(document, signatures, roots.operators);
  // What was taken in before keeps running: revoking an operator withdraws the pen, not what was written with it.
  const revoked = (key: string) => (when === 'taken' ? undefined : revokedKeys.get(key));
  const what = `desired ${document.instance}.${document.kind}.${document.name}`;
  return enough(signers, revoked, roots.operatorThreshold, when, what);
}

/**
 * Whether a trust document takes the place of the one held. Signatures of operators that the held one or it itself revokes do not count.
 * @throws Fault `signer-unknown`, `signature-invalid`, `operator-revoked`, `signer-expired`, `threshold-unmet`, `sequence-rollback`,
 *   `conflict` (a revocation left out, the same sequence with other content, too few operators left)
 */
export function judgeTrust({ document, signatures }: TrustRecord, held: Trust, when: When): 'accepted' | 'unchanged' {
  const { operators, operatorThreshold } = held.roots;
  const what = `trust document ${document.sequence}`;
  if (operators.length === 0)
    throw new Fault('signer-unknown', `${what}: no operators are configured (trust.operators), so nobody can vouch for it`);
  const bytes = canonicalBytes(document);
  const before = held.document;
  const same = before !== undefined && Buffer.from(canonicalBytes(before)).equals(bytes);
  if (same) return 'unchanged';
  const signers = signersOf(TRUST_PAYLOAD_TYPE, bytes, signatures, operators, what);
  const own = new Map(document.revokedKeys.map(({ key, reason }) => [key as string, reason]));
  enough(signers, (key) => held.revokedKeys.get(key) ?? own.get(key), operatorThreshold, when, what);
  if (before !== undefined && document.sequence < before.sequence)
    throw new Fault('sequence-rollback', `${what}: ${before.sequence} was taken in before`);
  if (before?.sequence === document.sequence)
    throw new Fault('conflict', `${what}: this sequence was taken in with other content`);
  for (const { key } of before?.revokedKeys ?? [])
    if (!own.has(key)) throw new Fault('conflict', `${what}: leaves out the revoked key ${key}; a revocation is for ever`);
  const bundles = new Set<string>(document.revokedBundles.map(({ digest }) => digest));
  for (const { digest } of before?.revokedBundles ?? [])
    if (!bundles.has(digest))
      throw new Fault('conflict', `${what}: leaves out the revoked bundle ${digest}; a revocation is for ever`);
  const left = operators.filter(({ key }) => !own.has(key)).length;
  if (left < operatorThreshold)
    throw new Fault(
      'conflict',
      `${what}: leaves ${left} operators where ${operatorThreshold} must sign: nobody could sign anything`,
    );
  return 'accepted';
}
