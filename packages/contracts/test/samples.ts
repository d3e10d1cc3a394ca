/** One good example of each document, and arbitraries of good names: where the tests start from. */
import { createAccount, createOperator } from '@nats-io/nkeys';
import fc from 'fast-check';
import {
  type BundleStatement,
  Desired,
  digestOf,
  type Envelope,
  Manifest,
  manifestDigest,
  type Signer,
  signerFromSeed,
  signStatement,
} from '../src/index.ts';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
/** A publisher's key made for this run. */
export const publisher = (): Signer => signerFromSeed(text(createAccount().getSeed()));
export const operator = (): Signer => signerFromSeed(text(createOperator().getSeed()));

export const manifest = (more: Record<string, unknown> = {}): Manifest =>
  Manifest.parse({ api: 1, name: 'hello', version: '1.0.0', kind: 'agent', capabilities: { 'hello.say': {} }, ...more });

export const statement = (more: Partial<BundleStatement> = {}): BundleStatement => ({
  name: manifest().name,
  version: manifest().version,
  kind: 'agent',
  digest: digestOf(new Uint8Array([1, 2, 3])),
  size: 3,
  manifestDigest: manifestDigest(manifest()),
  sequence: 7,
  ...more,
});

export const envelope = (signer: Signer = publisher()): Envelope => signStatement(statement(), signer);

/** As a person would write it, before defaults. */
export const desiredInput = (more: Record<string, unknown> = {}): Record<string, unknown> => ({
  api: 1,
  instance: 'cim-prod-001',
  kind: 'agent',
  name: 'hello',
  generation: 1,
  state: 'running',
  bundle: { version: '1.0.0', digest: statement().digest, size: 3, envelope: envelope() },
  issuedAt: '2026-01-31T12:00:00Z',
  issuedBy: 'ops',
  ...more,
});
export const desired = (more: Record<string, unknown> = {}): Desired => Desired.parse(desiredInput(more));

export const label = fc
  .stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?$/)
  .filter((one) => one.length <= 63 && one !== 'hub');
export const capability = fc
  .array(fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/), { minLength: 1, maxLength: 8 })
  .map((tokens) => tokens.join('.'));

/** The same object with its keys in another order, all the way down. */
export function reordered<T>(value: T): T {
  if (Array.isArray(value)) return value.map(reordered) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, one]) => [key, reordered(one)]),
  ) as T;
}
