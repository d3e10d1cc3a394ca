/** Node's Ed25519 under the face of nkeys: the same keys, the same bytes, the same refusals. */
import { createCurve, createPair, fromPublic, fromSeed, Prefix } from '@nats-io/nkeys';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nativePair, nativePublic } from '../src/ed25519.ts';

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const kind = fc.constantFrom(Prefix.Operator, Prefix.Account, Prefix.User, Prefix.Server, Prefix.Cluster);
/** nkeys' own arithmetic is slow: a run costs tens of milliseconds. */
const RUNS = { numRuns: 60 };

describe('a pair of a seed', () => {
  it('is what nkeys makes of it: public key, private key, seed, signature of any message (D1)', () => {
    fc.assert(
      fc.property(kind, fc.uint8Array({ maxLength: 2_000 }), (prefix, message) => {
        const theirs = createPair(prefix);
        const seed = text(theirs.getSeed());
        const ours = nativePair(seed);
        expect(ours.getPublicKey()).toBe(theirs.getPublicKey());
        expect(text(ours.getSeed())).toBe(seed);
        expect(text(ours.getPrivateKey())).toBe(text(theirs.getPrivateKey()));
        const signature = ours.sign(message);
        expect(Buffer.from(signature).toString('hex')).toBe(Buffer.from(theirs.sign(message)).toString('hex'));
        expect(fromPublic(ours.getPublicKey()).verify(message, signature)).toBe(true);
        expect(nativePublic(theirs.getPublicKey()).verify(message, signature)).toBe(true);
      }),
      RUNS,
    );
  });

  it('verifies what it signed and nothing that differs in a bit', () => {
    const pair = nativePair(text(createPair(Prefix.User).getSeed()));
    const other = nativePair(text(createPair(Prefix.User).getSeed()));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), fc.nat({ max: 511 }), (message, at, bit) => {
        const signature = pair.sign(message);
        expect(pair.verify(message, signature)).toBe(true);
        expect(other.verify(message, signature)).toBe(false);
        const changed = Uint8Array.from(message);
        changed[at % message.length]! ^= 1 << (at % 8);
        expect(pair.verify(changed, signature)).toBe(false);
        const forged = Uint8Array.from(signature);
        forged[bit >> 3]! ^= 1 << (bit & 7);
        expect(pair.verify(message, forged)).toBe(false);
        expect(pair.verify(message, signature.subarray(1))).toBe(false);
      }),
    );
  });

  it('is refused where nkeys refuses it: alphabet, prefix, checksum, length (D2)', () => {
    const seed = text(createPair(Prefix.User).getSeed());
    const key = fromSeed(new TextEncoder().encode(seed)).getPublicKey();
    fc.assert(
      fc.property(
        fc.constantFrom(seed, key),
        fc.nat({ max: 57 }),
        fc.constantFrom('A', 'Q', '7', '1', 'a', ''),
        (good, at, put) => {
          const bad = good.slice(0, at) + put + good.slice(at + 1);
          const takes = (make: () => unknown) => {
            try {
              make();
              return true;
            } catch {
              return false;
            }
          };
          expect(takes(() => nativePair(bad))).toBe(takes(() => fromSeed(new TextEncoder().encode(bad))));
          expect(takes(() => nativePublic(bad))).toBe(takes(() => fromPublic(bad)));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('signs no more once it was cleared, and a public half never', () => {
    const pair = nativePair(text(createPair(Prefix.Account).getSeed()));
    pair.clear();
    expect(() => pair.sign(new Uint8Array(1))).toThrow('pair is cleared');
    expect(() => pair.getSeed()).toThrow('pair is cleared');
    expect(() => nativePublic(pair.getPublicKey()).sign(new Uint8Array(1))).toThrow('cannot sign');
  });

  it('of a curve seed seals, as nkeys has it', () => {
    const [one, two] = [createCurve(), createCurve()];
    const ours = nativePair(text(one.getSeed()));
    expect(ours.getPublicKey()).toBe(one.getPublicKey());
    expect(text(two.open(ours.seal(new TextEncoder().encode('x'), two.getPublicKey()), ours.getPublicKey())!)).toBe('x');
  });
});
