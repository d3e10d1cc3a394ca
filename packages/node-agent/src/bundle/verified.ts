/**
 * The branded type of a bundle whose bytes, digest and signature this node has checked itself. Nothing else can be opened:
 * `Sandbox.open` takes only this, and only the bundle store makes it.
 */
import type { BundleStatement, Manifest, PublicKey } from '@cim/contracts';

declare const verified: unique symbol;

export interface VerifiedBundle {
  readonly [verified]: true;
  readonly statement: BundleStatement;
  readonly manifest: Manifest;
  /** Whose signature is good. */
  readonly publisher: { readonly name: string; readonly key: PublicKey };
  /** Source of the entry, one ES module. */
  readonly entry: string;
  readonly sourceMap: string | undefined;
  /** Bytes of an asset, or undefined when the bundle has none of that path. */
  asset(path: string): Promise<Uint8Array | undefined>;
}

/** For the bundle store alone (see `npm run plan`). */
export function asVerified(bundle: Omit<VerifiedBundle, typeof verified>): VerifiedBundle {
  return bundle as VerifiedBundle;
}
