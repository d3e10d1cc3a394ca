/**
 * Bundles made by hand, good ones and one of each bad kind.
 *
 * A bad bundle is bad in one way only: a signed one is signed by the trusted publisher over exactly the bytes it has, unless the signature
 * is what is bad. So a check that lets it through lets it through for want of that one check.
 */
import {
  type BundleStatement,
  bundleLimits,
  claimedStatement,
  digestOf,
  type Envelope,
  Manifest,
  manifestDigest,
  packBundle,
  type Signer,
  signerFromSeed,
  signStatement,
  type TrustedSigner,
} from '@cim/contracts';
import { createAccount, createOperator } from '@nats-io/nkeys';
import tar from 'tar-stream';

export interface TestBundle {
  readonly bytes: Uint8Array;
  readonly envelope: Envelope;
  readonly statement: BundleStatement;
  readonly manifest: Manifest;
  readonly signer: Signer;
}

export interface TestBundleOptions {
  readonly name?: string;
  readonly version?: string;
  readonly kind?: 'agent' | 'service';
  /** Source text of the entry: an ES module whose default export is a definition. Default: {@link echoEntry}. */
  readonly entry?: string;
  /** Over the manifest's defaults; `capabilities` default to `{ "<name>.echo": {} }`. */
  readonly manifest?: Record<string, unknown>;
  readonly assets?: ReadonlyMap<string, Uint8Array> | Readonly<Record<string, string>>;
  readonly signer?: Signer;
  readonly sequence?: number;
}

const publishers = new Map<string, Signer>();

/** A publisher's key, the same for the same name within one process. */
export function testPublisher(name = 'test'): Signer {
  let signer = publishers.get(name);
  if (!signer) {
    signer = signerFromSeed(new TextDecoder().decode(createAccount().getSeed()));
    publishers.set(name, signer);
  }
  return signer;
}

/** A new operator's key. */
export const testOperator = (): Signer => signerFromSeed(new TextDecoder().decode(createOperator().getSeed()));

/** The key as a configuration trusts it. */
export const trusted = (signer: Signer, name = 'test'): TrustedSigner => ({ name, key: signer.publicKey });

/** An entry that answers every one of the capabilities with what it was given and who it is. */
export function echoEntry(kind: 'agent' | 'service', capabilities: readonly string[]): string {
  const handlers = capabilities.map(
    (name) => `${JSON.stringify(name)}: { handle: (input, ctx) => ({ input, from: ctx.workload }) }`,
  );
  return `export default { api: 1, kind: ${JSON.stringify(kind)}, capabilities: { ${handlers.join(', ')} } };\n`;
}

export async function testBundle(options: TestBundleOptions = {}): Promise<TestBundle> {
  const { name = 'echo', version = '1.0.0', kind = 'agent', signer = testPublisher(), sequence = 1 } = options;
  const manifest = Manifest.parse({
    api: 1,
    name,
    version,
    kind,
    capabilities: { [`${name}.echo`]: {} },
    ...options.manifest,
  });
  const assets = options.assets instanceof Map ? options.assets : textAssets(options.assets ?? {});
  const entry = options.entry ?? echoEntry(kind, Object.keys(manifest.capabilities));
  return signed(await packBundle({ manifest, entry, assets }), manifest, signer, sequence);
}

function textAssets(files: object): Map<string, Uint8Array> {
  return new Map(Object.entries(files).map(([path, text]) => [path, new TextEncoder().encode(text as string)]));
}

/** Signs any bytes as if they were that manifest's bundle. */
export function signed(bytes: Uint8Array, manifest: Manifest, signer: Signer, sequence: number): TestBundle {
  const statement: BundleStatement = {
    name: manifest.name,
    version: manifest.version,
    kind: manifest.kind,
    digest: digestOf(bytes),
    size: bytes.length,
    manifestDigest: manifestDigest(manifest),
    sequence,
  };
  return { bytes, envelope: signStatement(statement, signer), statement, manifest, signer };
}

/** What is wrong with a bad bundle, and the codes it may be refused with. */
export const badBundles = {
  'tampered-byte': ['digest-mismatch'],
  'cut-short': ['digest-mismatch'],
  'wrong-digest': ['digest-mismatch'],
  'wrong-signer': ['signer-unknown'],
  'changed-payload': ['signature-invalid'],
  'foreign-signature': ['signature-invalid'],
  'malformed-tar': ['bundle-malformed'],
  'missing-manifest': ['bundle-malformed'],
  'missing-entry': ['bundle-malformed'],
  'climbing-path': ['bundle-malformed'],
  'link-inside': ['bundle-malformed'],
  'twice-the-same': ['bundle-malformed'],
  'foreign-manifest': ['bundle-malformed', 'digest-mismatch', 'signature-invalid'],
  'unknown-manifest-key': ['bundle-malformed'],
  oversize: ['bundle-malformed', 'too-large'],
} as const;
export type BadKind = keyof typeof badBundles;
export const badKinds = Object.keys(badBundles) as BadKind[];

/** A bundle that is bad in that one way. @param good what it is made from */
export async function badBundle(kind: BadKind, good?: TestBundle): Promise<TestBundle> {
  const base = good ?? (await testBundle());
  const { bytes, manifest, signer, envelope, statement } = base;
  const manifestText = JSON.stringify(manifest);
  const entry = { name: 'main.mjs', text: 'export default {};' };
  const again = async (files: readonly TarFile[]) => signed(await tarOf(files), manifest, signer, statement.sequence);
  switch (kind) {
    case 'tampered-byte': {
      const other = bytes.slice();
      // Within the entry's text: the archive still reads well.
      const at = Buffer.from(other).lastIndexOf('export');
      other[at]! ^= 1;
      return { ...base, bytes: other };
    }
    case 'cut-short':
      return { ...base, bytes: bytes.slice(0, bytes.length - 512) };
    case 'wrong-digest': {
      const other = { ...statement, digest: digestOf(new TextEncoder().encode('something else')) };
      return { ...base, statement: other, envelope: signStatement(other, signer) };
    }
    case 'wrong-signer': {
      const stranger = signerFromSeed(new TextDecoder().decode(createAccount().getSeed()));
      return signed(bytes, manifest, stranger, statement.sequence);
    }
    case 'changed-payload': {
      const other = { ...claimedStatement(envelope), sequence: statement.sequence + 1000 };
      return {
        ...base,
        statement: other,
        envelope: { ...envelope, payload: Buffer.from(JSON.stringify(other)).toString('base64') },
      };
    }
    case 'foreign-signature': {
      const sig = Buffer.from(signer.sign(new TextEncoder().encode('another document'))).toString('base64');
      return { ...base, envelope: { ...envelope, signatures: [{ keyid: signer.publicKey, sig }] } };
    }
    case 'malformed-tar':
      return signed(new TextEncoder().encode('this is no archive '.repeat(60)), manifest, signer, statement.sequence);
    case 'missing-manifest':
      return again([entry]);
    case 'missing-entry':
      return again([{ name: 'manifest.json', text: manifestText }]);
    case 'climbing-path':
      return again([{ name: 'manifest.json', text: manifestText }, entry, { name: 'assets/../../climbed', text: 'out' }]);
    case 'link-inside':
      return again([{ name: 'manifest.json', text: manifestText }, entry, { name: 'assets/link', linkTo: '/etc/hostname' }]);
    case 'twice-the-same':
      return again([{ name: 'manifest.json', text: manifestText }, entry, { ...entry, text: 'export default 1;' }]);
    case 'foreign-manifest': {
      const other = JSON.stringify({ ...manifest, description: 'not what was signed' });
      return again([{ name: 'manifest.json', text: other }, entry]);
    }
    case 'unknown-manifest-key': {
      const other = { ...manifest, privileged: true };
      return again([{ name: 'manifest.json', text: JSON.stringify(other) }, entry]);
    }
    case 'oversize': {
      const text = manifestText.padEnd(bundleLimits.manifestBytes + 1, ' ');
      return again([{ name: 'manifest.json', text }, entry]);
    }
  }
}

/** A good bundle that was signed before `newer`: to be refused where that one has run. */
export function olderThan(newer: TestBundle): TestBundle {
  if (newer.statement.sequence < 2) throw new RangeError('nothing is older than sequence 1');
  return signed(newer.bytes, newer.manifest, newer.signer, newer.statement.sequence - 1);
}

/** A good bundle of at least `size` bytes, of bytes that do not compress: for limits and slow links. */
export function largeBundle(size: number, options: TestBundleOptions = {}): Promise<TestBundle> {
  const bytes = new Uint8Array(size);
  let state = 0x9e3779b9;
  for (let at = 0; at < size; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  return testBundle({ ...options, assets: new Map([['large.bin', bytes]]) });
}

type TarFile = { readonly name: string; readonly text: string } | { readonly name: string; readonly linkTo: string };

async function tarOf(files: readonly TarFile[]): Promise<Uint8Array> {
  const pack = tar.pack();
  for (const file of files) {
    if ('text' in file) pack.entry({ name: file.name }, file.text);
    else pack.entry({ name: file.name, type: 'symlink', linkname: file.linkTo });
  }
  pack.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of pack) chunks.push(chunk as Uint8Array);
  return new Uint8Array(Buffer.concat(chunks));
}
