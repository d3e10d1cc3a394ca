/** Real signed bundles, and a store of bytes whose link can be cut. */
import {
  type BundleRef,
  digestOf,
  Fault,
  Manifest,
  manifestDigest,
  packBundle,
  type Signer,
  signerFromSeed,
  signStatement,
  type Trust,
  type TrustDocument,
  type TrustedSigner,
  type TrustRoots,
  trustOf,
} from '@cim/contracts';
import { createAccount, createOperator } from '@nats-io/nkeys';
import type { FetchBundle } from '../../src/bundle/download.ts';

export interface Publisher {
  readonly signer: Signer;
  readonly trusted: TrustedSigner;
}

const keyOf = (seed: Uint8Array, name: string): Publisher => {
  const signer = signerFromSeed(new TextDecoder().decode(seed));
  return { signer, trusted: { name, key: signer.publicKey } };
};
export const publisher = (name = 'acme'): Publisher => keyOf(createAccount().getSeed(), name);
export const operator = (name = 'ops'): Publisher => keyOf(createOperator().getSeed(), name);

/** What a node trusts whose configuration says this. */
export const trusting = (roots: Partial<TrustRoots>, document?: TrustDocument): Trust =>
  trustOf({ publishers: [], operators: [], operatorThreshold: 1, ...roots }, document);

export interface Made {
  readonly bytes: Uint8Array;
  readonly ref: BundleRef;
  readonly manifest: Manifest;
}

/** A bundle as the product's own packer makes it. */
export async function makeBundle(
  by: Publisher,
  options: {
    readonly manifest?: Record<string, unknown>;
    readonly entry?: string;
    readonly sourceMap?: string;
    readonly assets?: Record<string, Uint8Array>;
    readonly sequence?: number;
  } = {},
): Promise<Made> {
  const manifest = Manifest.parse({
    api: 1,
    name: 'hello',
    version: '1.0.0',
    kind: 'agent',
    capabilities: {},
    ...options.manifest,
  });
  const bytes = await packBundle({
    manifest,
    entry: options.entry ?? 'export default {};',
    ...(options.sourceMap === undefined ? {} : { sourceMap: options.sourceMap }),
    assets: new Map(Object.entries(options.assets ?? {})),
  });
  const digest = digestOf(bytes);
  const { name, version, kind } = manifest;
  const envelope = signStatement(
    {
      name,
      version,
      kind,
      digest,
      size: bytes.length,
      manifestDigest: manifestDigest(manifest),
      sequence: options.sequence ?? 1,
    },
    by.signer,
  );
  return { bytes, manifest, ref: { version, digest, size: bytes.length, envelope } };
}

export interface Hub {
  readonly fetch: FetchBundle;
  /** Where each fetch was asked to begin. */
  readonly asked: number[];
  put(bytes: Uint8Array): void;
  /** What the store serves under a digest, whatever its bytes are. */
  corrupt(digest: string, bytes: Uint8Array): void;
  /** Cuts the link after this many bytes of the next fetch. */
  cutAfter(bytes: number): void;
  /** Lets nothing through until it is called. */
  pause(): () => void;
}

/** A store that sends chunks of `chunk` bytes and resumes at their boundaries, as JetStream's object store does. */
export function hub(chunk = 4096): Hub {
  const objects = new Map<string, Uint8Array>();
  const asked: number[] = [];
  let cut = Number.POSITIVE_INFINITY;
  let open: Promise<void> = Promise.resolve();
  return {
    asked,
    put: (bytes) => void objects.set(digestOf(bytes), bytes),
    corrupt: (digest, bytes) => void objects.set(digest, bytes),
    cutAfter(bytes) {
      cut = bytes;
    },
    pause() {
      const gate = Promise.withResolvers<void>();
      open = gate.promise;
      return gate.resolve;
    },
    async fetch({ digest, fromByte }, signal) {
      asked.push(fromByte);
      await open;
      signal.throwIfAborted();
      const bytes = objects.get(digest);
      if (!bytes) throw new Fault('not-found', `no ${digest}`);
      const offset = Math.floor(fromByte / chunk) * chunk;
      const until = offset + cut;
      cut = Number.POSITIVE_INFINITY;
      return {
        offset,
        chunks: (async function* () {
          for (let at = offset; at < bytes.length; at += chunk) {
            if (at >= until) throw new Error('connection reset');
            signal.throwIfAborted();
            yield bytes.subarray(at, Math.min(at + chunk, bytes.length));
          }
        })(),
      };
    },
  };
}
