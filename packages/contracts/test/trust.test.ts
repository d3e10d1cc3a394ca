/** Who may sign what: the promises of trust.ts, each with somebody who tries to get around it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Envelope,
  type ErrorCode,
  Fault,
  judgeDesired,
  judgeManifest,
  judgeStatement,
  judgeTrust,
  type Signer,
  signDesired,
  signStatement,
  signTrust,
  TrustDocument,
  TrustedKey,
  type TrustRoots,
  trustOf,
} from '../src/index.ts';
import { desired, manifest, operator, publisher, statement } from './samples.ts';

const at = (text: string) => Date.parse(text);
const NOW = at('2026-06-01T00:00:00Z');
const [alice, bob] = [publisher(), publisher()];
const [ann, ben, cid] = [operator(), operator(), operator()];
const trusted = (signer: Signer, more: object = {}) =>
  TrustedKey.parse({ name: signer.publicKey.slice(0, 6), key: signer.publicKey, ...more });
const rootsOf = (more: Partial<TrustRoots> = {}): TrustRoots => ({
  publishers: [trusted(alice)],
  operators: [trusted(ann), trusted(ben), trusted(cid)],
  operatorThreshold: 2,
  ...more,
});
const document = (more: object = {}) =>
  TrustDocument.parse({
    api: 1,
    sequence: 1,
    issuedAt: '2026-05-01T00:00:00Z',
    issuedBy: 'ann',
    publishers: [],
    revokedKeys: [],
    revokedBundles: [],
    ...more,
  });
const record = (doc: TrustDocument, ...signers: Signer[]) => ({
  document: doc,
  signatures: signers.map((one) => signTrust(doc, one)),
});
const revoked = (signer: Signer) => ({ key: signer.publicKey, reason: 'stolen', at: '2026-05-01T00:00:00Z' });
const by = (...signers: Signer[]): Envelope => {
  const [first, ...more] = signers.map((signer) => signStatement(statement(), signer));
  return { ...first!, signatures: [first!, ...more].flatMap(({ signatures }) => signatures) };
};
function codeOf(work: () => unknown): ErrorCode | 'good' {
  try {
    work();
    return 'good';
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    return (error as Fault).code;
  }
}

describe('a publisher', () => {
  const codeAt = (envelope: Envelope, roots: TrustRoots, when: number | 'taken' = NOW, doc?: TrustDocument) =>
    codeOf(() => judgeStatement(envelope, trustOf(roots, doc), when));

  it('is one who is trusted, and signed well', () => {
    expect(codeAt(by(alice), rootsOf())).toBe('good');
    expect(codeAt(by(bob), rootsOf())).toBe('signer-unknown');
    const forged = { ...by(bob), signatures: [{ ...by(bob).signatures[0]!, keyid: alice.publicKey }] };
    expect(codeAt(forged, rootsOf())).toBe('signature-invalid');
  });

  it('may sign while its key is valid; what was taken in then stays good', () => {
    const roots = rootsOf({
      publishers: [trusted(alice, { validFrom: '2026-02-01T00:00:00Z', validUntil: '2026-03-01T00:00:00Z' })],
    });
    expect(codeAt(by(alice), roots, at('2026-01-31T23:59:59Z'))).toBe('signer-expired');
    expect(codeAt(by(alice), roots, at('2026-02-01T00:00:00Z'))).toBe('good');
    expect(codeAt(by(alice), roots, at('2026-02-28T23:59:59Z'))).toBe('good');
    expect(codeAt(by(alice), roots, at('2026-03-01T00:00:00Z'))).toBe('signer-expired');
    expect(codeAt(by(alice), roots, 'taken')).toBe('good');
  });

  it('changes its key without a moment in which neither is good', () => {
    const roots = rootsOf({
      publishers: [trusted(alice, { validUntil: '2026-03-10T00:00:00Z' }), trusted(bob, { validFrom: '2026-03-01T00:00:00Z' })],
    });
    const [first, second] = [by(alice), by(bob)];
    for (let day = at('2026-02-20T00:00:00Z'); day < at('2026-03-20T00:00:00Z'); day += 3_600_000) {
      const old = codeAt(first, roots, day);
      const young = codeAt(second, roots, day);
      expect([old, young]).toContain('good');
      expect(old).toBe(day < at('2026-03-10T00:00:00Z') ? 'good' : 'signer-expired');
      expect(young).toBe(day >= at('2026-03-01T00:00:00Z') ? 'good' : 'signer-expired');
    }
  });

  it('signs only names within its scope', () => {
    const scoped = (...names: string[]) => rootsOf({ publishers: [trusted(alice, { scopes: { names } })] });
    expect(codeAt(by(alice), scoped('hello'))).toBe('good');
    expect(codeAt(by(alice), scoped('invoice', 'he*o'))).toBe('good');
    expect(codeAt(by(alice), scoped('hell', 'hello-*', '*-hello'))).toBe('scope-exceeded');
    expect(codeAt(by(alice), scoped())).toBe('scope-exceeded');
    // Also a thing that was taken in before the scope was narrowed.
    expect(codeAt(by(alice), scoped('other'), 'taken')).toBe('scope-exceeded');
  });

  it('asks only for what it may ask for', () => {
    const asking = manifest({
      subscribe: ['orders.*.created'],
      grants: { publish: ['orders.eu.done'], call: ['invoice.render'], secrets: ['smtp'], kv: true },
    });
    const issues = (scopes: object) => {
      try {
        judgeManifest(asking, trusted(alice, { scopes }));
        return [];
      } catch (error) {
        expect((error as Fault).code).toBe('scope-exceeded');
        return (error as Fault).issues.map(({ path }) => path);
      }
    };
    const all = { publish: ['orders.>'], subscribe: ['orders.*.*'], call: ['invoice.*'], secrets: ['smtp'], kv: true };
    expect(issues({})).toEqual([]);
    expect(issues({ names: ['hello'], capabilities: ['hello.>'], grants: all })).toEqual([]);
    expect(issues({ names: ['bye'] })).toEqual(['manifest.name']);
    expect(issues({ capabilities: ['bye.*'] })).toEqual(['manifest.capabilities']);
    expect(issues({ grants: { ...all, publish: ['orders.us.>'] } })).toEqual(['manifest.grants.publish']);
    // A wildcard asked for is wider than a plain subject allowed.
    expect(issues({ grants: { ...all, subscribe: ['orders.eu.created'] } })).toEqual(['manifest.subscribe']);
    expect(issues({ grants: { ...all, call: [] } })).toEqual(['manifest.grants.call']);
    expect(issues({ grants: { ...all, secrets: ['other'], kv: false } })).toEqual([
      'manifest.grants.secrets',
      'manifest.grants.kv',
    ]);
  });

  it('whose key or bundle was revoked is refused, at whatever time, also as something taken in before', () => {
    const key = document({ revokedKeys: [revoked(alice)] });
    const bundle = document({ revokedBundles: [{ digest: statement().digest, reason: 'leaks', at: '2026-05-01T00:00:00Z' }] });
    for (const when of [0, NOW, 'taken'] as const) {
      expect(codeAt(by(alice), rootsOf(), when, key)).toBe('publisher-revoked');
      expect(codeAt(by(alice), rootsOf(), when, bundle)).toBe('bundle-revoked');
    }
  });

  it('that was revoked and is trusted nowhere any more is called revoked, not unknown', () => {
    const gone = document({ revokedKeys: [revoked(bob)] });
    expect(codeAt(by(bob), rootsOf(), NOW, gone)).toBe('publisher-revoked');
    expect(codeAt(by(publisher()), rootsOf(), NOW, gone)).toBe('signer-unknown');
  });

  it('beside one who is revoked still vouches alone', () => {
    const roots = rootsOf({ publishers: [trusted(alice), trusted(bob)] });
    const { signer } = judgeStatement(by(alice, bob), trustOf(roots, document({ revokedKeys: [revoked(alice)] })), NOW);
    expect(signer.key).toBe(bob.publicKey);
  });

  it('is added by a trust document until that expires, and never wider than configuration has it', () => {
    const added = document({ publishers: [trusted(bob)], expires: '2026-07-01T00:00:00Z' });
    expect(codeAt(by(bob), rootsOf(), NOW, added)).toBe('good');
    expect(codeAt(by(bob), rootsOf(), at('2026-07-01T00:00:00Z'), added)).toBe('signer-expired');
    expect(codeAt(by(bob), rootsOf(), 'taken', added)).toBe('good');
    const narrow = rootsOf({ publishers: [trusted(alice, { scopes: { names: ['other'] } })] });
    expect(codeAt(by(alice), narrow, NOW, document({ publishers: [trusted(alice)] }))).toBe('scope-exceeded');
  });
});

describe('a threshold of operators', () => {
  const wish = desired();
  const codeOfDesired = (signers: readonly Signer[], roots = rootsOf(), doc?: TrustDocument, when: number | 'taken' = NOW) =>
    codeOf(() =>
      judgeDesired(
        wish,
        signers.map((one) => signDesired(wish, one)),
        trustOf(roots, doc),
        when,
      ),
    );

  it('counts operators, not signatures', () => {
    expect(codeOfDesired([ann, ben])).toBe('good');
    expect(codeOfDesired([ann])).toBe('threshold-unmet');
    expect(codeOfDesired([ann, ann, ann])).toBe('threshold-unmet');
    expect(codeOfDesired([ann, operator()])).toBe('threshold-unmet');
    expect(codeOfDesired([])).toBe('signer-unknown');
    expect(codeOfDesired([operator()])).toBe('signer-unknown');
    // The same key configured under two names is one operator: it stands once in a list of signatures that counts.
    expect(codeOfDesired([ann], rootsOf({ operators: [trusted(ann), trusted(ann, { name: 'also ann' })] }))).toBe(
      'threshold-unmet',
    );
  });

  it('counts no signature over another document', () => {
    const other = desired({ generation: 9 });
    const signatures = [signDesired(wish, ann), signDesired(other, ben)];
    expect(codeOf(() => judgeDesired(wish, signatures, trustOf(rootsOf()), NOW))).toBe('threshold-unmet');
  });

  it('counts neither the revoked nor the expired, but keeps what was taken in with them', () => {
    const gone = document({ revokedKeys: [revoked(ben)] });
    expect(codeOfDesired([ann, ben], rootsOf(), gone)).toBe('threshold-unmet');
    expect(codeOfDesired([ann, ben, cid], rootsOf(), gone)).toBe('good');
    expect(codeOfDesired([ben], rootsOf({ operatorThreshold: 1 }), gone)).toBe('operator-revoked');
    expect(codeOfDesired([ann, ben], rootsOf(), gone, 'taken')).toBe('good');
    const old = rootsOf({ operators: [trusted(ann), trusted(ben, { validUntil: '2026-05-31T00:00:00Z' })] });
    expect(codeOfDesired([ann, ben], old)).toBe('threshold-unmet');
    expect(codeOfDesired([ann, ben], old, undefined, 'taken')).toBe('good');
  });

  it('asks nothing where nobody is configured', () => {
    expect(codeOfDesired([], rootsOf({ operators: [] }))).toBe('good');
  });
});

describe('a trust document', () => {
  const judge = (
    doc: TrustDocument,
    signers: readonly Signer[],
    held?: TrustDocument,
    roots = rootsOf(),
    when: number | 'taken' = NOW,
  ) => codeOf(() => judgeTrust(record(doc, ...signers), trustOf(roots, held), when));
  const first = document({
    sequence: 4,
    revokedKeys: [revoked(alice)],
    revokedBundles: [{ digest: statement().digest, reason: 'r', at: '2026-05-01T00:00:00Z' }],
  });
  const after = (more: object) => document({ ...first, sequence: 5, ...more });

  it('takes the threshold of configured operators', () => {
    expect(judge(first, [ann, ben])).toBe('good');
    expect(judge(first, [ann])).toBe('threshold-unmet');
    expect(judge(first, [ann, ann])).toBe('threshold-unmet');
    expect(judge(first, [publisher(), publisher()])).toBe('signer-unknown');
    expect(judge(first, [ann], undefined, rootsOf({ operatorThreshold: 1 }))).toBe('good');
    expect(judge(first, [ann, ben], undefined, rootsOf({ operators: [] }))).toBe('signer-unknown');
  });

  it('cannot be changed under its signatures', () => {
    const changed = { ...record(first, ann, ben), document: after({}) };
    expect(codeOf(() => judgeTrust(changed, trustOf(rootsOf()), NOW))).toBe('signature-invalid');
    // A signature over a desired document is none over a trust document, even of the same bytes.
    const crossed = { document: first, signatures: [signDesired(first as never, ann), signDesired(first as never, ben)] };
    expect(codeOf(() => judgeTrust(crossed, trustOf(rootsOf()), NOW))).toBe('signature-invalid');
  });

  it('never goes back, and is one per sequence', () => {
    expect(codeOf(() => judgeTrust(record(first, ann, ben), trustOf(rootsOf(), first), NOW))).toBe('good');
    expect(judgeTrust(record(first), trustOf(rootsOf(), first), NOW)).toBe('unchanged');
    expect(judge(document({ ...first, sequence: 3 }), [ann, ben], first)).toBe('sequence-rollback');
    expect(judge(document({ ...first, issuedBy: 'mallory' }), [ann, ben], first)).toBe('conflict');
    expect(judge(after({}), [ann, ben], first)).toBe('good');
  });

  it('leaves out no revocation', () => {
    expect(judge(after({ revokedKeys: [] }), [ann, ben], first)).toBe('conflict');
    expect(judge(after({ revokedBundles: [] }), [ann, ben], first)).toBe('conflict');
  });

  it('is not signed by operators it revokes itself, nor by those revoked before, nor leaves too few', () => {
    const without = after({ revokedKeys: [...first.revokedKeys, revoked(cid)] });
    expect(judge(without, [ann, cid], first)).toBe('threshold-unmet');
    expect(judge(without, [ann, ben], first)).toBe('good');
    expect(judge(document({ ...without, sequence: 6 }), [ann, cid], without)).toBe('threshold-unmet');
    expect(judge(after({ revokedKeys: [...first.revokedKeys, revoked(cid), revoked(ben)] }), [ann, ben, cid], first)).toBe(
      'threshold-unmet',
    );
    const two = rootsOf({ operatorThreshold: 1 });
    const all = after({ revokedKeys: [...first.revokedKeys, revoked(ben), revoked(cid)] });
    expect(judge(all, [ann], first, two)).toBe('good');
    expect(judge(all, [ann], first, rootsOf({ operatorThreshold: 1, operators: [trusted(ann), trusted(ben)] }))).toBe('good');
  });

  it('can name no operator as a publisher, and each key once', () => {
    const bad = (more: object) => TrustDocument.safeParse({ ...first, ...more }).success;
    expect(bad({ publishers: [trusted(ann)] })).toBe(false);
    expect(bad({ publishers: [trusted(bob), trusted(bob)] })).toBe(false);
    expect(bad({ operators: [trusted(bob)] })).toBe(false);
    expect(bad({ revokedKeys: [revoked(bob), revoked(bob)] })).toBe(false);
    expect(bad({ publishers: [trusted(bob)] })).toBe(true);
  });
});

it('a name pattern matches as "*" says, and nothing else in it is special', () => {
  const letters = fc.stringMatching(/^[a-z0-9-]{0,8}$/);
  fc.assert(
    fc.property(letters, letters, letters, (a, b, c) => {
      const name = `x${a}${b}${c}x`;
      const signer = (names: string[]) => trusted(alice, { scopes: { names } });
      expect(() => judgeManifest(manifest({ name: 'hello' }), signer(['hel.o'.replace('.', '*')]))).not.toThrow();
      const good = manifest({ name });
      expect(() => judgeManifest(good, signer([`x${a}*${c}x`]))).not.toThrow();
      expect(() => judgeManifest(good, signer([`x${a}*${c}y`]))).toThrow(Fault);
    }),
  );
});
