/** One good example of each document, and arbitraries of good names: where the tests start from. */
import fc from 'fast-check';
import {
  type BundleStatement,
  Desired,
  digestOf,
  type Envelope,
  Manifest,
  manifestDigest,
  type NodeStatus,
  type Signer,
  signerFromSeed,
  signStatement,
} from '../src/index.ts';

/** Seeds made for these tests and used nowhere else. */
export const seeds = {
  publisher: 'SAAOQ4HY5HVDJLFWQQ6NY5VJWC36D4MKYEVAUGMJGLTW6OUCZ4RRXNZVKM',
  otherPublisher: '',
  operator: '',
  user: '',
};

export const label = fc
  .stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?$/)
  .filter((text) => text.length <= 63 && text !== 'hub');
export const capability = fc
  .array(fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/), { minLength: 1, maxLength: 8 })
  .map((tokens) => tokens.join('.'));
export const version = fc
  .tuple(fc.nat(50), fc.nat(50), fc.nat(50), fc.constantFrom('', '-rc.1', '-alpha', '-0.x-y'))
  .map(([a, b, c, rest]) => `${a}.${b}.${c}${rest}`);
