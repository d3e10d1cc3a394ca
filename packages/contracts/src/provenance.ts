/**
 * Making and checking build provenance. Pure: what was built from what is an argument.
 *
 * Promises:
 * V1. The same facts give the same bytes: no time, no random id.
 * V2. The chain is closed: the bundle's signed statement names the digest of the provenance, the provenance names the bundle and the bill of
 *     materials. None of the three can be exchanged alone.
 */
import { decodeJson, Fault } from './errors.ts';
import type { Digest } from './ids.ts';
import {
  type Attestation,
  PROVENANCE_PAYLOAD_TYPE,
  Provenance,
  SBOM_MEDIA_TYPE,
  SBOM_NAME,
  type Sbom,
} from './schema/provenance.ts';
import type { BundleStatement } from './schema/signature.ts';
import { canonicalBytes, digestOf, type Signer, signBytes, signersOf, type TrustedSigner } from './signing.ts';

export interface Dependency {
  readonly name: string;
  readonly version: string;
  /** As its package.json says: mostly an SPDX expression. */
  readonly license?: string | undefined;
  /** Names and versions (`name@version`) it imports directly. */
  readonly uses: readonly string[];
}

export interface BuildFacts {
  readonly bundle: { readonly name: string; readonly version: string; readonly digest: Digest };
  readonly source: {
    /** Of the project's own files that went in: their paths and contents. */
    readonly digest: Digest;
    /** Commit of the repository around it, where there is one. */
    readonly commit?: string | undefined;
    /** True when what was built is not what was committed. */
    readonly dirty?: boolean | undefined;
  };
  readonly builder: { readonly version: string; readonly tools: Readonly<Record<string, string>> };
  readonly dependencies: readonly Dependency[];
  /** What the project itself imports directly, as `name@version`. */
  readonly uses: readonly string[];
}

const hex = (digest: string): string => digest.slice('sha256:'.length);
const purlOf = ({ name, version }: { readonly name: string; readonly version: string }): string =>
  `pkg:npm/${name.replace(/^@/, '%40')}@${encodeURIComponent(version)}`;
const idOf = ({ name, version }: { readonly name: string; readonly version: string }): string => `${name}@${version}`;
const byId = (a: { readonly name: string; readonly version: string }, b: typeof a) => (idOf(a) < idOf(b) ? -1 : 1);

/** SPDX licence expression: ids with AND, OR, WITH and brackets. */
const SPDX = /^\(*[A-Za-z0-9.+-]+\)*(?: (?:AND|OR|WITH) \(*[A-Za-z0-9.+-]+\)*)*$/;

/** Bill of materials, CycloneDX 1.6. */
export function sbomOf({ bundle, builder, dependencies, uses }: BuildFacts): Sbom {
  const self = `${bundle.name}@${bundle.version}`;
  const refs = new Map(dependencies.map((one) => [idOf(one), purlOf(one)]));
  const used = (ids: readonly string[]) => ids.flatMap((id) => refs.get(id) ?? []).sort();
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      tools: { components: [{ type: 'application', name: 'alchemist', version: builder.version }] },
      component: { type: 'application', 'bom-ref': self, name: bundle.name, version: bundle.version },
    },
    components: [...dependencies].sort(byId).map((one) => ({
      type: 'library',
      'bom-ref': purlOf(one),
      name: one.name,
      version: one.version,
      purl: purlOf(one),
      ...(one.license === undefined
        ? {}
        : { licenses: [SPDX.test(one.license) ? { expression: one.license } : { license: { name: one.license } }] }),
    })),
    dependencies: [
      { ref: self, dependsOn: used(uses) },
      ...[...dependencies].sort(byId).map((one) => ({ ref: purlOf(one), dependsOn: used(one.uses) })),
    ],
  };
}

/** The in-toto statement about a build. */
export function provenanceOf(facts: BuildFacts, sbom: Sbom): Provenance {
  const { bundle, source, builder, dependencies } = facts;
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: `${bundle.name}@${bundle.version}`, digest: { sha256: hex(bundle.digest) } }],
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:cim:build:esbuild:v1',
        externalParameters: { name: bundle.name, version: bundle.version },
        internalParameters: { ...builder.tools },
        resolvedDependencies: [
          {
            name: 'source',
            digest: { sha256: hex(source.digest), ...(source.commit === undefined ? {} : { gitCommit: source.commit }) },
            ...(source.dirty === undefined ? {} : { annotations: { dirty: source.dirty } }),
          },
          ...[...dependencies].sort(byId).map((one) => ({
            name: idOf(one),
            uri: purlOf(one),
            ...(one.license === undefined ? {} : { annotations: { license: one.license } }),
          })),
        ],
      },
      runDetails: {
        builder: { id: 'urn:cim:builder:alchemist', version: { alchemist: builder.version } },
        byproducts: [{ name: SBOM_NAME, mediaType: SBOM_MEDIA_TYPE, digest: { sha256: hex(digestOf(canonicalBytes(sbom))) } }],
      },
    },
  };
}

/** Signs provenance. @returns what stands beside the bundle, and the digest for the bundle's statement */
export function attest(facts: BuildFacts, signer: Signer): { readonly attestation: Attestation; readonly digest: Digest } {
  const sbom = sbomOf(facts);
  const payload = canonicalBytes(provenanceOf(facts, sbom));
  const provenance: Attestation['provenance'] = {
    payloadType: PROVENANCE_PAYLOAD_TYPE,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [signBytes(PROVENANCE_PAYLOAD_TYPE, payload, signer)],
  };
  return { attestation: { provenance, sbom }, digest: digestOf(payload) };
}

/** What an attestation says, unchecked. @throws Fault `signature-invalid` when it cannot be read */
export function claimedProvenance({ provenance }: Attestation): {
  readonly statement: Provenance;
  readonly payload: Uint8Array;
} {
  const payload = Buffer.from(provenance.payload, 'base64');
  return { statement: decodeJson(Provenance, payload, 'provenance', 'signature-invalid'), payload };
}

/**
 * The provenance that belongs to a bundle's statement (V2).
 * @param signers who may have signed it: those trusted for the bundle
 * @throws Fault `digest-mismatch` when a link of the chain is another's, `signature-invalid`, `signer-unknown`
 */
export function verifyProvenance(
  bundle: BundleStatement,
  attestation: Attestation,
  signers: readonly TrustedSigner[],
): { readonly statement: Provenance; readonly signer: TrustedSigner; readonly sbom: Sbom } {
  const { statement, payload } = claimedProvenance(attestation);
  const what = `provenance of ${bundle.name}@${bundle.version}`;
  const found = digestOf(payload);
  if (bundle.provenance !== found)
    throw new Fault(
      'digest-mismatch',
      `${what}: the signed statement names ${bundle.provenance ?? 'none'}, this one is ${found}`,
    );
  const [signer] = signersOf(PROVENANCE_PAYLOAD_TYPE, payload, attestation.provenance.signatures, signers, what);
  const subject = `sha256:${statement.subject[0]!.digest.sha256}`;
  if (subject !== bundle.digest)
    throw new Fault('digest-mismatch', `${what}: is about ${subject}, the bundle is ${bundle.digest}`);
  verifySbom(statement, attestation.sbom, what);
  return { statement, signer: signer!, sbom: attestation.sbom };
}

/** @throws Fault `digest-mismatch` when the bill of materials is not the one the provenance names */
export function verifySbom(statement: Provenance, sbom: Sbom, what = 'provenance'): void {
  const named = statement.predicate.runDetails.byproducts?.find(({ name }) => name === SBOM_NAME)?.digest?.['sha256'];
  const found = hex(digestOf(canonicalBytes(sbom)));
  if (named !== found)
    throw new Fault('digest-mismatch', `${what}: names a bill of materials ${named ?? 'not at all'}, this one is ${found}`);
}

/** KV key in CIM_CATALOG; as {@link versionKey} writes versions. */
export const provenanceKey = (name: string, version: string): string => `provenance.${name}.${version.replaceAll('.', '_')}`;
