/**
 * Digests, canonical bytes and signatures.
 *
 * Promises:
 * S1. Only `verifyStatement` and `verifyDesired` say that a signature is good, and they say whose it is.
 * S2. What is signed is canonical JSON (RFC 8785) under DSSE's pre-authentication encoding (DSSE protocol v1), so neither spacing nor
 *     key order nor the type of the document can be changed under a signature.
 *     A signed envelope has one spelling: no byte of it can change and still verify.
 * S3. Verification never depends on the key id alone: the signature is checked with the trusted key of that id.
 */
import { createHash } from 'node:crypto';
import type { KeyPair } from '@nats-io/nkeys';
import canonicalize from 'canonicalize';
import { nativePair, verifyNative } from './ed25519.ts';
import { decodeJson, Fault } from './errors.ts';
import { Digest, PublicKey } from './ids.ts';
import type { Desired } from './schema/desired.ts';
import type { Manifest } from './schema/manifest.ts';
import { BundleStatement, type Envelope, type Signature } from './schema/signature.ts';
import type { TrustDocument, TrustedKey } from './schema/trust.ts';

export const BUNDLE_PAYLOAD_TYPE = 'application/vnd.cim.bundle.v1+json';
export const DESIRED_PAYLOAD_TYPE = 'application/vnd.cim.desired.v1+json';
export const TRUST_PAYLOAD_TYPE = 'application/vnd.cim.trust.v1+json';
export const LOG_PAYLOAD_TYPE = 'application/vnd.cim.log.v1+json';

/** RFC 8785 canonical JSON, UTF-8. @throws Fault `invalid-input` for what JSON cannot say (NaN, a circle, half a character) */
export function canonicalBytes(value: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = canonicalize(value);
  } catch (cause) {
    throw new Fault('invalid-input', `value has no JSON form: ${(cause as Error).message}`, { cause });
  }
  if (text === undefined) throw new Fault('invalid-input', `value has no JSON form: found ${typeof value}`);
  return new TextEncoder().encode(text);
}

export function digestOf(bytes: Uint8Array): Digest {
  return Digest.parse(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
}

export const manifestDigest = (manifest: Manifest): Digest => digestOf(canonicalBytes(manifest));

/** Hash of a stream as it passes by. */
export function digester(): { update(chunk: Uint8Array): void; digest(): Digest } {
  const hash = createHash('sha256');
  return { update: (chunk) => void hash.update(chunk), digest: () => Digest.parse(`sha256:${hash.digest('hex')}`) };
}

/** DSSE v1: "DSSEv1" SP len(type) SP type SP len(body) SP body. */
function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(
    `DSSEv1 ${new TextEncoder().encode(payloadType).length} ${payloadType} ${payload.length} `,
  );
  const out = new Uint8Array(head.length + payload.length);
  out.set(head);
  out.set(payload, head.length);
  return out;
}

/** A key that signs. The seed stays inside. */
export interface Signer {
  readonly publicKey: PublicKey;
  sign(bytes: Uint8Array): Uint8Array;
}

/** @param seed text of an nkey seed (`SA…` publisher, `SO…` operator). @throws Fault `invalid-input` when it is none */
export function signerFromSeed(seed: string): Signer {
  let pair: KeyPair;
  try {
    pair = nativePair(seed.trim());
  } catch (cause) {
    throw new Fault('invalid-input', 'key: expected an nkey seed that starts with "SA" or "SO"', { cause });
  }
  const publicKey = PublicKey.safeParse(pair.getPublicKey());
  if (!publicKey.success) throw new Fault('invalid-input', 'key: expected a publisher (SA…) or operator (SO…) seed');
  return { publicKey: publicKey.data, sign: (bytes) => pair.sign(bytes) };
}

/** Bytes of base64 in its one canonical spelling: base64 leaves bits over, and a second spelling would be a second envelope. */
function exactBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

function verifyWith(key: PublicKey, bytes: Uint8Array, sig: string): boolean {
  try {
    const raw = exactBase64(sig);
    return raw !== undefined && verifyNative(key, bytes, raw);
  } catch {
    return false;
  }
}

/** A key that is trusted, and within which bounds; who they are judged by is in trust.ts. */
export type TrustedSigner = Readonly<TrustedKey>;

export function signStatement(statement: BundleStatement, signer: Signer): Envelope {
  const payload = canonicalBytes(BundleStatement.parse(statement));
  const sig = Buffer.from(signer.sign(preAuthEncoding(BUNDLE_PAYLOAD_TYPE, payload))).toString('base64');
  return {
    payloadType: BUNDLE_PAYLOAD_TYPE,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid: signer.publicKey, sig }],
  };
}

/** What an envelope claims, before anyone has checked it: for showing and for choosing what to fetch, never for running. */
export function claimedStatement(envelope: Envelope): BundleStatement {
  if (envelope.payloadType !== BUNDLE_PAYLOAD_TYPE) {
    throw new Fault(
      'signature-invalid',
      `envelope.payloadType: expected "${BUNDLE_PAYLOAD_TYPE}", found "${envelope.payloadType}"`,
    );
  }
  const payload = exactBase64(envelope.payload);
  if (!payload)
    throw new Fault('signature-invalid', 'envelope.payload: expected base64 as it was signed, found another spelling');
  return decodeJson(BundleStatement, payload, 'statement', 'signature-invalid');
}

/**
 * The statement of an envelope that a trusted publisher signed.
 * @throws Fault `signer-unknown` when no signer is trusted, `signature-invalid` when a trusted one's signature does not fit
 */
export function verifyStatement(
  envelope: Envelope,
  trusted: readonly TrustedSigner[],
): { readonly statement: BundleStatement; readonly signer: TrustedSigner } {
  const statement = claimedStatement(envelope);
  const bytes = preAuthEncoding(BUNDLE_PAYLOAD_TYPE, Buffer.from(envelope.payload, 'base64'));
  return { statement, signer: firstGood(envelope.signatures, trusted, bytes, `bundle ${statement.name}@${statement.version}`) };
}

function firstGood(
  signatures: readonly Signature[],
  trusted: readonly TrustedSigner[],
  bytes: Uint8Array,
  what: string,
): TrustedSigner {
  return goodOf(signatures, trusted, bytes, what)[0]!;
}

/**
 * Everyone trusted whose signature is good, each once, in the order they signed; at least one.
 * @throws Fault `signer-unknown`, `signature-invalid`
 */
function goodOf(
  signatures: readonly Signature[],
  trusted: readonly TrustedSigner[],
  bytes: Uint8Array,
  what: string,
): TrustedSigner[] {
  let known = false;
  const good: TrustedSigner[] = [];
  for (const { keyid, sig } of signatures) {
    const signer = trusted.find(({ key }) => key === keyid);
    if (!signer || good.includes(signer)) continue;
    known = true;
    if (verifyWith(signer.key, bytes, sig)) good.push(signer);
  }
  if (good.length > 0) return good;
  const ids = signatures.map(({ keyid }) => keyid).join(', ') || 'nobody';
  throw known
    ? new Fault('signature-invalid', `${what}: the signature of ${ids} does not fit`)
    : new Fault(
        'signer-unknown',
        `${what}: signed by ${ids}, trusted are ${trusted.map(({ name }) => name).join(', ') || 'none'}`,
      );
}

/** Everyone trusted who signed the envelope well. @throws Fault as {@link verifyStatement} */
export function statementSigners(
  envelope: Envelope,
  trusted: readonly TrustedSigner[],
): { readonly statement: BundleStatement; readonly signers: readonly TrustedSigner[] } {
  const statement = claimedStatement(envelope);
  const bytes = preAuthEncoding(BUNDLE_PAYLOAD_TYPE, Buffer.from(envelope.payload, 'base64'));
  const what = `bundle ${statement.name}@${statement.version}`;
  return { statement, signers: goodOf(envelope.signatures, trusted, bytes, what) };
}

/** A signature over any bytes, under a type of its own so that it can never be taken for another kind of document. */
export function signBytes(payloadType: string, bytes: Uint8Array, signer: Signer): Signature {
  return { keyid: signer.publicKey, sig: Buffer.from(signer.sign(preAuthEncoding(payloadType, bytes))).toString('base64') };
}

/** Everyone trusted who signed the bytes well, each once. @throws Fault `signer-unknown`, `signature-invalid` */
export function signersOf(
  payloadType: string,
  bytes: Uint8Array,
  signatures: readonly Signature[],
  trusted: readonly TrustedSigner[],
  what: string,
): readonly TrustedSigner[] {
  return goodOf(signatures, trusted, preAuthEncoding(payloadType, bytes), what);
}

export function signDesired(document: Desired, signer: Signer): Signature {
  return signBytes(DESIRED_PAYLOAD_TYPE, canonicalBytes(document), signer);
}

/** Everyone trusted who signed the document well, each once. @throws Fault as {@link verifyStatement} */
export function desiredSigners(
  document: Desired,
  signatures: readonly Signature[],
  trusted: readonly TrustedSigner[],
): readonly TrustedSigner[] {
  const what = `desired ${document.instance}.${document.kind}.${document.name}`;
  return signersOf(DESIRED_PAYLOAD_TYPE, canonicalBytes(document), signatures, trusted, what);
}

/** An operator whose signature on the document is good. @throws Fault as {@link verifyStatement} */
export function verifyDesired(
  document: Desired,
  signatures: readonly Signature[],
  trusted: readonly TrustedSigner[],
): TrustedSigner {
  return desiredSigners(document, signatures, trusted)[0]!;
}

export function signTrust(document: TrustDocument, signer: Signer): Signature {
  return signBytes(TRUST_PAYLOAD_TYPE, canonicalBytes(document), signer);
}
