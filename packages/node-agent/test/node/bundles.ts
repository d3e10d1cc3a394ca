/** Signed bundles and desired records as an author and an operator would make them, for tests of the whole node. */
import {
  BundleStatement,
  type Desired,
  Desired as DesiredSchema,
  digestOf,
  Manifest,
  manifestDigest,
  packBundle,
  type Signer,
  signerFromSeed,
  signStatement,
} from '@cim/contracts';
import { createAccount } from '@nats-io/nkeys';

export const newSigner = (): Signer => signerFromSeed(new TextDecoder().decode(createAccount().getSeed()));

export interface MadeBundle {
  readonly bytes: Uint8Array;
  readonly ref: Desired['bundle'];
  readonly manifest: Manifest;
}

export async function makeBundle(
  signer: Signer,
  options: {
    name: string;
    version?: string;
    sequence?: number;
    entry: string;
    manifest?: object;
    assets?: ReadonlyMap<string, Uint8Array>;
  },
): Promise<MadeBundle> {
  const manifest = Manifest.parse({
    api: 1,
    name: options.name,
    version: options.version ?? '1.0.0',
    kind: 'agent',
    capabilities: {},
    ...options.manifest,
  });
  const bytes = await packBundle({ manifest, entry: options.entry, ...(options.assets ? { assets: options.assets } : {}) });
  const statement = BundleStatement.parse({
    name: manifest.name,
    version: manifest.version,
    kind: manifest.kind,
    digest: digestOf(bytes),
    size: bytes.length,
    manifestDigest: manifestDigest(manifest),
    sequence: options.sequence ?? 1,
  });
  return {
    bytes,
    manifest,
    ref: {
      version: manifest.version,
      digest: statement.digest,
      size: bytes.length,
      envelope: signStatement(statement, signer),
    },
  };
}

export function desiredOf(bundle: MadeBundle, instance: string, over: Record<string, unknown> = {}): Desired {
  return DesiredSchema.parse({
    api: 1,
    instance,
    kind: bundle.manifest.kind,
    name: bundle.manifest.name,
    generation: 1,
    state: 'running',
    bundle: bundle.ref,
    issuedAt: new Date().toISOString(),
    issuedBy: 'test',
    ...over,
  });
}

/** An agent that says which version answers. */
export const echoEntry = (word: string) => `export default { kind: 'agent', api: 1, capabilities: {
  'echo.say': { handle: async (input, ctx) => ({ word: ${JSON.stringify(word)}, input, instance: ctx.workload.instance }) },
} };`;
export const echoManifest = { capabilities: { 'echo.say': {} } };
