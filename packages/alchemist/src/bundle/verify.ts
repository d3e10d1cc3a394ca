/** Checks a bundle the way a node does: archive, digest, size, manifest, signature, signer. Says all it finds, not just the first. */
import {
  type BundleStatement,
  type CheckResult,
  claimedStatement,
  digestOf,
  type Envelope,
  Fault,
  manifestDigest,
  type TrustedSigner,
  verifyStatement,
} from '@cim/contracts';
import { openBundle } from './bundle.ts';

export interface Verification {
  readonly facts: {
    readonly digest: string;
    readonly size: number;
    readonly name?: string;
    readonly version?: string;
    readonly sequence?: number;
  };
  /** All pass: it may be run where the signer is trusted. */
  readonly results: readonly CheckResult[];
}

export async function verifyBundle(
  bytes: Uint8Array,
  envelope: Envelope | undefined,
  trusted: readonly TrustedSigner[],
): Promise<Verification> {
  const results: CheckResult[] = [];
  const check = async <T>(name: string, work: () => T | Promise<T>, evidence: (value: T) => string): Promise<T | undefined> => {
    try {
      const value = await work();
      results.push({ check: name, result: 'pass', evidence: evidence(value) });
      return value;
    } catch (error) {
      results.push({ check: name, result: 'fail', evidence: Fault.of(error, (error as Error).message).detail });
      return undefined;
    }
  };
  const digest = digestOf(bytes);
  const opened = await check(
    'archive',
    () => openBundle(bytes),
    ({ manifest, contents }) => `${manifest.name}@${manifest.version}, ${contents.assets.length} assets`,
  );
  if (envelope === undefined) {
    results.push({ check: 'signature', result: 'fail', evidence: 'there is no signature beside the bundle' });
  } else {
    const said = await check(
      'statement',
      () => claimedStatement(envelope),
      ({ name, version }) => `about ${name}@${version}`,
    );
    if (said) {
      await check(
        'contents',
        () => compare(said, digest, bytes.length, opened && manifestDigest(opened.manifest)),
        () => `${digest}, ${bytes.length} bytes, as signed`,
      );
    }
    await check(
      'signature',
      () => verifyStatement(envelope, trusted),
      ({ signer }) => `signed by ${signer.name} (${signer.key})`,
    );
    return { facts: { digest, size: bytes.length, ...(said && pick(said)) }, results };
  }
  return { facts: { digest, size: bytes.length }, results };
}

const pick = ({ name, version, sequence }: BundleStatement) => ({ name, version, sequence });

function compare(said: BundleStatement, digest: string, size: number, manifest: string | undefined): void {
  const differs = (what: string, signed: unknown, found: unknown) =>
    new Fault('digest-mismatch', `${what}: signed ${signed}, found ${found}`);
  if (said.digest !== digest) throw differs('digest', said.digest, digest);
  if (said.size !== size) throw differs('size', said.size, size);
  if (manifest !== undefined && said.manifestDigest !== manifest) throw differs('manifest', said.manifestDigest, manifest);
}
