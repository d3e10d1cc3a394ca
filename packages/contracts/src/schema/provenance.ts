/**
 * Where a bundle comes from: an in-toto statement (in-toto.io/Statement/v1) with SLSA build provenance (slsa.dev/provenance/v1) and, bound
 * in it by digest, a bill of materials (CycloneDX 1.6). Beside the bundle, not in it: the same sources stay the same bytes whichever commit
 * they are built from.
 */
import { z } from 'zod';
import { Signature } from './signature.ts';

export const PROVENANCE_PAYLOAD_TYPE = 'application/vnd.in-toto+json';
export const SBOM_MEDIA_TYPE = 'application/vnd.cyclonedx+json';
/** Name of the bill of materials among the by-products. */
export const SBOM_NAME = 'sbom.cdx.json';

const Sha256 = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hex digits') });
const Resource = z.looseObject({
  name: z.string().max(300).optional(),
  uri: z.string().max(2000).optional(),
  digest: z.record(z.string(), z.string().max(200)).optional(),
  annotations: z.record(z.string(), z.unknown()).optional(),
});

/** Loose where in-toto and SLSA are: who reads ignores what it does not know. */
export const Provenance = z.looseObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  subject: z.array(z.looseObject({ name: z.string().max(300), digest: Sha256 })).length(1),
  predicateType: z.literal('https://slsa.dev/provenance/v1'),
  predicate: z.looseObject({
    buildDefinition: z.looseObject({
      buildType: z.string().max(300),
      externalParameters: z.record(z.string(), z.unknown()),
      internalParameters: z.record(z.string(), z.unknown()).optional(),
      resolvedDependencies: z.array(Resource).max(10_000),
    }),
    runDetails: z.looseObject({
      builder: z.looseObject({ id: z.string().max(300), version: z.record(z.string(), z.string()).optional() }),
      byproducts: z.array(Resource).max(100).optional(),
    }),
  }),
});
export type Provenance = z.infer<typeof Provenance>;

/** DSSE, with room for a long list of dependencies. */
export const ProvenanceEnvelope = z.strictObject({
  payloadType: z.literal(PROVENANCE_PAYLOAD_TYPE),
  payload: z.base64().max(700_000),
  signatures: z.array(Signature).min(1).max(16),
});
export type ProvenanceEnvelope = z.infer<typeof ProvenanceEnvelope>;

/** Enough of CycloneDX to know it by and to list what is in it. */
export const Sbom = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.literal('1.6'),
  version: z.int().positive(),
  metadata: z.looseObject({ component: z.looseObject({ name: z.string(), version: z.string().optional() }) }),
  components: z
    .array(
      z.looseObject({
        type: z.string(),
        name: z.string(),
        version: z.string().optional(),
        purl: z.string().optional(),
        licenses: z.array(z.unknown()).optional(),
      }),
    )
    .max(10_000),
});
export type Sbom = z.infer<typeof Sbom>;

/** What stands beside a bundle: in files, and at the registry under `provenance.<name>.<version>` in CIM_CATALOG. */
export const Attestation = z.strictObject({ provenance: ProvenanceEnvelope, sbom: Sbom });
export type Attestation = z.infer<typeof Attestation>;
