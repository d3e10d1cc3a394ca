/**
 * A project folder (or entry file) in, a bundle out: deterministic bytes that can be signed.
 *
 * Promises:
 * B1. The same sources give the same digest, wherever the checkout stands and whenever it is built.
 * B2. What comes back has been loaded once in a child process without rights and its manifest checked field by field.
 * B3. Nothing is written to disk, nothing is sent.
 */
import {
  type Attestation,
  attest,
  type BundleContents,
  type BundleStatement,
  type Digest,
  digestOf,
  type Envelope,
  Fault,
  type Manifest,
  manifestDigest,
  packBundle,
  readBundle,
  type Signer,
  signStatement,
} from '@cim/contracts';
import type { DurationLike } from '../duration.ts';
import type { Surroundings } from '../surroundings.ts';
import type { ManifestOverrides } from './manifest.ts';
import type { Origin } from './origin.ts';

export interface BundleOptions extends ManifestOverrides {
  /** Longest run of the entry file while its definition is read. Default 10s. */
  readonly timeout?: DurationLike;
  /** Leaves the source map out. */
  readonly sourceMap?: boolean;
}

export interface Bundle {
  readonly manifest: Manifest;
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** The publisher's signed statement, once there is one. */
  readonly envelope?: Envelope;
  /** Where it was built from; becomes provenance when it is signed. */
  readonly origin?: Origin;
  /** Signed provenance and bill of materials, once there are any. */
  readonly attestation?: Attestation;
  /** What the build thought worth saying. */
  readonly warnings: readonly string[];
}
export type SignedBundle = Bundle & { readonly envelope: Envelope };

/**
 * Builds a project.
 * @param path project folder or entry file
 * @throws Fault `invalid-input` with file and line for what does not build, `bundle-malformed` with every wrong field of the manifest
 */
export async function bundle(path: string, options: BundleOptions = {}, around?: Surroundings): Promise<Bundle> {
  const [{ surroundings }, { openProject }, { compile }, { evaluateEntry }, { manifestOf }, { originOf }] = await Promise.all([
    import('../surroundings.ts'),
    import('./project.ts'),
    import('./compile.ts'),
    import('./evaluate.ts'),
    import('./manifest.ts'),
    import('./origin.ts'),
  ]);
  const here = around ?? surroundings();
  const project = await openProject(here.cwd, path);
  const built = await compile(project);
  const [found, origin] = await Promise.all([
    evaluateEntry(built, here, options.timeout ?? '10s'),
    originOf(project, built.metafile, here),
  ]);
  const manifest = manifestOf(found, project, options);
  const bytes = await packBundle({
    manifest,
    entry: built.entry,
    ...(options.sourceMap === false ? {} : { sourceMap: built.sourceMap }),
    assets: project.assets,
  });
  return { manifest, bytes, digest: digestOf(bytes), size: bytes.length, warnings: built.warnings, origin };
}

/** A bundle out of its bytes, e.g. of a file. @throws Fault `bundle-malformed` */
export async function openBundle(
  bytes: Uint8Array,
  envelope?: Envelope,
  attestation?: Attestation,
): Promise<Bundle & { readonly contents: BundleContents }> {
  const contents = await readBundle([bytes]);
  const { manifest } = contents;
  return {
    manifest,
    bytes,
    digest: digestOf(bytes),
    size: bytes.length,
    warnings: [],
    contents,
    ...(envelope === undefined ? {} : { envelope }),
    ...(attestation === undefined ? {} : { attestation }),
  };
}

/** What a publisher says of a bundle. @param sequence grows with every signing; milliseconds since 1970 do */
function statementOf(bundle: Bundle, sequence: number, provenance: Digest | undefined): BundleStatement {
  const { name, version, kind } = bundle.manifest;
  const { digest, size } = bundle;
  return {
    name,
    version,
    kind,
    digest,
    size,
    manifestDigest: manifestDigest(bundle.manifest),
    sequence,
    ...(provenance === undefined ? {} : { provenance }),
  };
}

/** The bundle with its signed statement and, where it is known where it comes from, signed provenance that the statement names. */
export function sign(bundle: Bundle, signer: Signer, sequence: number): SignedBundle {
  if (!signer.publicKey.startsWith('A')) {
    throw new Fault('invalid-input', 'key: expected a publisher seed ("SA…"), found an operator\'s');
  }
  const { name, version } = bundle.manifest;
  const attested = bundle.origin && attest({ ...bundle.origin, bundle: { name, version, digest: bundle.digest } }, signer);
  const envelope = signStatement(statementOf(bundle, sequence, attested?.digest), signer);
  return { ...bundle, envelope, ...(attested === undefined ? {} : { attestation: attested.attestation }) };
}
