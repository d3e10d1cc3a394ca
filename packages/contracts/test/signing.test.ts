import { createAccount, createCluster, createOperator, createServer, createUser, fromPublic } from '@nats-io/nkeys';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BUNDLE_PAYLOAD_TYPE,
  canonicalBytes,
  claimedStatement,
  DESIRED_PAYLOAD_TYPE,
  Desired,
  Digest,
  decode,
  digester,
  digestOf,
  Envelope,
  type ErrorCode,
  Fault,
  manifestDigest,
  Signature,
  signDesired,
  signerFromSeed,
  signStatement,
  type TrustedSigner,
  verifyDesired,
  verifyStatement,
} from '../src/index.ts';
import { desired, desiredInput, envelope, manifest, operator, publisher, reordered, statement } from './samples.ts';

const alice = publisher();
const bob = publisher();
const ops = operator();
const trust = (...signers: { publicKey: TrustedSigner['key'] }[]): TrustedSigner[] =>
  signers.map(({ publicKey }, i) => ({ name: `signer-${i}`, key: publicKey }));

/** The code of the fault, or undefined when it went through. What is thrown must be a Fault. */
function codeOf(work: () => unknown): ErrorCode | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    return (error as Fault).code;
  }
}

describe('canonical bytes', () => {
  const text = (value: unknown) => new TextDecoder().decode(canonicalBytes(value));

  it('do not depend on the order of keys, and say the same as JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(text(reordered(value))).toBe(text(value));
        expect(JSON.parse(text(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('tell two values apart', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const same = JSON.stringify(reordered(a)) === JSON.stringify(reordered(b));
        if (same) expect(text(a)).toBe(text(b));
        if (text(a) === text(b)) expect(JSON.parse(JSON.stringify(a))).toEqual(JSON.parse(JSON.stringify(b)));
      }),
    );
  });

  it.each([
    [{ b: 1, a: [2, { d: null, c: true }] }, '{"a":[2,{"c":true,"d":null}],"b":1}'],
    [{ '\u20ac': 'Euro', '\r': 'CR', '1': 'One', '\ud83d\ude00': 'Smile' }, '{"\\r":"CR","1":"One","€":"Euro","😀":"Smile"}'],
    [[1e21, 1e-7, 4.5, 0, -0, Number('333333333.33333329')], '[1e+21,1e-7,4.5,0,0,333333333.3333333]'],
    ['\u000f\n"\\', '"\\u000f\\n\\"\\\\"'],
  ])('of %j are as RFC 8785 has them', (value, expected) => expect(text(value)).toBe(expected));

  it.each([
    [undefined],
    [() => 1],
    [Number.NaN],
    [{ a: Number.POSITIVE_INFINITY }],
    ['\ud800'],
    [{ '\udfff': 1 }],
    [1n],
    [Symbol('a')],
  ])('refuse %s with a Fault', (value) => expect(codeOf(() => canonicalBytes(value))).toBe('invalid-input'));

  it('refuse a circle, and take a value that is very deep', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    expect(codeOf(() => canonicalBytes(circle))).toBe('invalid-input');
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(canonicalBytes(deep)).toHaveLength(200_001);
  });
});

describe('digests', () => {
  it('are SHA-256 in hex', () => {
    expect(digestOf(new Uint8Array())).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
  it('of a stream are those of the whole, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), (chunks) => {
        const { update, digest } = digester();
        for (const chunk of chunks) update(chunk);
        const found = digest();
        expect(found).toBe(digestOf(Buffer.concat(chunks)));
        expect(Digest.safeParse(found).success).toBe(true);
      }),
    );
  });
  it('of a manifest do not depend on the order of its keys', () => {
    const one = manifest({ config: { a: 1, b: { c: 2, d: 3 } } });
    expect(manifestDigest(reordered(one))).toBe(manifestDigest(one));
    expect(manifestDigest(manifest({ config: { a: 2 } }))).not.toBe(manifestDigest(one));
  });
});

describe('a key', () => {
  const seedOf = (pair: { getSeed(): Uint8Array }) => new TextDecoder().decode(pair.getSeed());

  it('of a publisher starts with A, of an operator with O', () => {
    expect(alice.publicKey).toMatch(/^A/);
    expect(ops.publicKey).toMatch(/^O/);
  });
  it('does not show its seed', () => {
    expect(JSON.stringify(alice)).toBe(JSON.stringify({ publicKey: alice.publicKey }));
    expect(Object.keys(alice).sort()).toEqual(['publicKey', 'sign']);
  });
  it('is read with spaces and a line end around it, as files have them', () => {
    const pair = createAccount();
    expect(signerFromSeed(` ${seedOf(pair)}\n`).publicKey).toBe(pair.getPublicKey());
  });
  it.each([
    ['a user', createUser],
    ['a server', createServer],
    ['a cluster', createCluster],
  ])('of %s is refused: it signs something else', (_, create) => {
    expect(codeOf(() => signerFromSeed(seedOf(create())))).toBe('invalid-input');
  });
  it.each(['', ' ', 'SA', 'hello', 'SAAA'.repeat(14), alice.publicKey, '\u0000'])(
    '%j is no seed, and is not repeated in the fault',
    (text) => {
      expect(codeOf(() => signerFromSeed(text))).toBe('invalid-input');
      if (text.length > 4)
        expect(() => signerFromSeed(text)).toThrow(expect.objectContaining({ detail: expect.not.stringContaining(text) }));
    },
  );
});

describe('a signed bundle', () => {
  it('verifies with the key of who signed it, and says whose it was', () => {
    const signed = signStatement(statement(), alice);
    expect(Envelope.parse(JSON.parse(JSON.stringify(signed)))).toEqual(signed);
    const { statement: back, signer } = verifyStatement(signed, trust(bob, alice));
    expect(back).toEqual(statement());
    expect(signer).toEqual({ name: 'signer-1', key: alice.publicKey });
  });

  it('is the same envelope whatever order the statement’s keys are in', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1 }), fc.integer({ min: 1 }), (size, sequence) => {
        const one = statement({ size, sequence });
        expect(signStatement(reordered(one), alice)).toEqual(signStatement(one, alice));
        expect(verifyStatement(signStatement(one, alice), trust(alice)).statement).toEqual(one);
      }),
      { numRuns: 5 },
    );
  });

  it('by somebody unknown is signer-unknown, and the fault names both sides', () => {
    const signed = signStatement(statement(), bob);
    expect(codeOf(() => verifyStatement(signed, trust(alice)))).toBe('signer-unknown');
    expect(codeOf(() => verifyStatement(signed, []))).toBe('signer-unknown');
    expect(() => verifyStatement(signed, trust(alice))).toThrow(new RegExp(`${bob.publicKey}.*signer-0`));
  });

  it('verifies here exactly when nkeys itself says so', () => {
    fc.assert(
      fc.property(fc.nat(63), fc.nat(7), fc.boolean(), (at, bit, spoil) => {
        const signer = publisher();
        const one = signStatement(statement(), signer);
        const sig = Buffer.from(one.signatures[0]!.sig, 'base64');
        if (spoil) sig[at]! ^= 1 << bit;
        const payload = Buffer.from(one.payload, 'base64');
        const signedBytes = Buffer.concat([
          Buffer.from(`DSSEv1 ${one.payloadType.length} ${one.payloadType} ${payload.length} `),
          payload,
        ]);
        const theirs = fromPublic(signer.publicKey).verify(signedBytes, sig);
        const spoiled = { ...one, signatures: [{ keyid: signer.publicKey, sig: sig.toString('base64') }] };
        expect(codeOf(() => verifyStatement(spoiled, trust(signer)))).toBe(theirs ? undefined : 'signature-invalid');
        expect(theirs).toBe(!spoil);
      }),
      { numRuns: 8 },
    );
  });

  it('under another’s name is signature-invalid: the key id alone decides nothing (S3)', () => {
    const signed = signStatement(statement(), bob);
    const forged = { ...signed, signatures: [{ ...signed.signatures[0]!, keyid: alice.publicKey }] };
    expect(codeOf(() => verifyStatement(forged, trust(alice)))).toBe('signature-invalid');
    expect(codeOf(() => verifyStatement(forged, trust(alice, bob)))).toBe('signature-invalid');
  });

  it('with several signatures needs one good one of a trusted signer', () => {
    const [a, b] = [signStatement(statement(), alice), signStatement(statement(), bob)];
    const both = { ...a, signatures: [...b.signatures, ...a.signatures] };
    expect(verifyStatement(both, trust(alice)).signer.key).toBe(alice.publicKey);
    expect(verifyStatement(both, trust(bob)).signer.key).toBe(bob.publicKey);
    const broken = { ...a, signatures: [{ keyid: alice.publicKey, sig: b.signatures[0]!.sig }, ...a.signatures] };
    expect(verifyStatement(broken, trust(alice)).signer.key).toBe(alice.publicKey);
  });

  /** Every envelope that differs from a good one in one character of one field. */
  const signed = signStatement(statement(), alice);
  const changed = (text: string, at: number) => {
    const put = text[at] === 'A' ? 'B' : 'A';
    return text.slice(0, at) + put + text.slice(at + 1);
  };
  const everyPlace = (text: string) => Array.from(text, (_, at) => changed(text, at));

  it('with any one character of the payload changed is signature-invalid', () => {
    for (const payload of everyPlace(signed.payload))
      expect(codeOf(() => verifyStatement({ ...signed, payload }, trust(alice)))).toBe('signature-invalid');
  });

  it('with a bit of any byte of the payload changed is signature-invalid, also where it is still good JSON', () => {
    const bytes = Buffer.from(signed.payload, 'base64');
    for (let at = 0; at < bytes.length; at++) {
      const other = Buffer.from(bytes);
      other[at]! ^= 1 << (at & 7);
      expect(codeOf(() => verifyStatement({ ...signed, payload: other.toString('base64') }, trust(alice)))).toBe(
        'signature-invalid',
      );
    }
  });

  it('with any one character of the signature changed is signature-invalid, also one that base64 would not notice', () => {
    const { keyid, sig } = signed.signatures[0]!;
    for (const other of everyPlace(sig))
      expect(codeOf(() => verifyStatement({ ...signed, signatures: [{ keyid, sig: other }] }, trust(alice)))).toBe(
        'signature-invalid',
      );
    for (const other of ['', sig.slice(0, -4), `${sig}AAAA`, sig.replace(/=+$/, ''), `${sig}=`, ` ${sig}`])
      expect(codeOf(() => verifyStatement({ ...signed, signatures: [{ keyid, sig: other }] }, trust(alice)))).toBe(
        'signature-invalid',
      );
  });

  it('in another spelling of the same bytes is refused: one envelope has one form', () => {
    const [, padding = ''] = /(=*)$/.exec(signed.payload)!;
    for (const payload of [
      ` ${signed.payload}`,
      `${signed.payload}\n`,
      signed.payload.replace(/=+$/, '').concat(padding, '='),
      signed.payload.replaceAll('/', '_').replaceAll('+', '-').concat('!'),
    ])
      expect(codeOf(() => verifyStatement({ ...signed, payload }, trust(alice)))).toBe('signature-invalid');
  });

  it('with any one character of the type changed is signature-invalid', () => {
    for (const payloadType of [...everyPlace(signed.payloadType), DESIRED_PAYLOAD_TYPE, ''])
      expect(codeOf(() => verifyStatement({ ...signed, payloadType }, trust(alice)))).toBe('signature-invalid');
  });

  it('with any one character of the key id changed is signer-unknown', () => {
    const { sig } = signed.signatures[0]!;
    for (const keyid of everyPlace(alice.publicKey) as TrustedSigner['key'][]) {
      expect(codeOf(() => verifyStatement({ ...signed, signatures: [{ keyid, sig }] }, trust(alice)))).toBe('signer-unknown');
      // Trusted all the same, it is no key that verifies anything.
      expect(codeOf(() => verifyStatement({ ...signed, signatures: [{ keyid, sig }] }, [{ name: 'odd', key: keyid }]))).toBe(
        'signature-invalid',
      );
    }
  });

  it('as an envelope of garbage is refused by its schema or with a Fault', () => {
    fc.assert(
      fc.property(fc.base64String(), fc.base64String(), fc.string(), (payload, sig, payloadType) => {
        for (const type of [payloadType, signed.payloadType]) {
          const one = { payloadType: type, payload, signatures: [{ keyid: alice.publicKey, sig }] };
          expect(codeOf(() => verifyStatement(one, trust(alice)))).toBe('signature-invalid');
          codeOf(() => decode(Envelope, one, 'envelope'));
        }
      }),
    );
  });

  it('tells what it claims before it is verified, and only of the right type', () => {
    expect(claimedStatement(signed)).toEqual(statement());
    expect(codeOf(() => claimedStatement({ ...signed, payloadType: DESIRED_PAYLOAD_TYPE }))).toBe('signature-invalid');
  });

  it('cannot be made of a statement that is none', () => {
    expect(() => signStatement({ ...statement(), size: -1 }, alice)).toThrow();
    expect(() => signStatement({ ...statement(), extra: 1 } as never, alice)).toThrow();
  });
});

describe('a signed desired document', () => {
  const document = desired();
  const signature = signDesired(document, ops);

  it('verifies, whatever order its keys arrive in and however often it was written down', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()),
        fc.integer({ min: 1 }),
        (config, generation) => {
          const one = Desired.parse(JSON.parse(JSON.stringify(desiredInput({ config, generation }))));
          const signatures = [signDesired(one, ops)];
          const back = Desired.parse(JSON.parse(JSON.stringify(reordered(one))));
          expect(verifyDesired(back, signatures, trust(ops)).key).toBe(ops.publicKey);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('is not good for what an engine read that takes one name for another', () => {
    // Since V8 12.8 JSON.parse may do that: a name that begins with an escape becomes one it has seen in that place (nodejs/node#63785).
    const one = Desired.parse(desiredInput({ config: { before: 1, '"': 2 } }));
    const signatures = [signDesired(one, ops)];
    const text = JSON.stringify(one);
    JSON.parse('{"before":1,"\\\\":2}');
    const read = Desired.parse(JSON.parse(text));
    const code = Object.hasOwn(read.config as object, '"') ? undefined : 'signature-invalid';
    expect(codeOf(() => verifyDesired(read, signatures, trust(ops)))).toBe(code);
  });

  it('has a signature its schema takes', () => {
    expect(Signature.parse(signature)).toEqual(signature);
  });

  it.each<[string, Record<string, unknown>]>([
    ['instance', { instance: 'cim-prod-002' }],
    ['kind', { kind: 'service' }],
    ['name', { name: 'other' }],
    ['generation', { generation: 2 }],
    ['state', { state: 'removed' }],
    ['replicas', { replicas: 2 }],
    ['isolation', { isolation: 'dedicated' }],
    ['resources', { resources: { cpu: '2' } }],
    ['configuration', { configuration: { turn: '9s' } }],
    ['config', { config: { a: 1 } }],
    ['rollback', { rollback: true }],
    ['issuedAt', { issuedAt: '2026-01-31T12:00:01Z' }],
    ['issuedBy', { issuedBy: 'mallory' }],
    ['reason', { reason: 'because' }],
    ['secrets', { secrets: { smtp: { to: `X${'A'.repeat(55)}`, from: `X${'B'.repeat(55)}`, box: 'AAAA' } } }],
    ['bundle', { bundle: { ...document.bundle, size: 4 } }],
    ['envelope', { bundle: { ...document.bundle, envelope: envelope() } }],
  ])('with another %s is signature-invalid', (_, change) => {
    const other = Desired.parse({ ...document, ...change });
    expect(codeOf(() => verifyDesired(other, [signature], trust(ops)))).toBe('signature-invalid');
  });

  it('covers every field there is', () => {
    expect(Object.keys(Desired.shape).sort()).toEqual(
      [
        'api',
        'instance',
        'kind',
        'name',
        'generation',
        'state',
        'bundle',
        'replicas',
        'isolation',
        'resources',
        'configuration',
        'config',
        'secrets',
        'rollback',
        'issuedAt',
        'issuedBy',
        'reason',
      ].sort(),
    );
  });

  it('with any one character of the signature changed is signature-invalid', () => {
    for (let at = 0; at < signature.sig.length; at++) {
      const sig = signature.sig.slice(0, at) + (signature.sig[at] === 'A' ? 'B' : 'A') + signature.sig.slice(at + 1);
      expect(codeOf(() => verifyDesired(document, [{ ...signature, sig }], trust(ops)))).toBe('signature-invalid');
    }
  });

  it('of nobody or of somebody unknown is signer-unknown', () => {
    expect(codeOf(() => verifyDesired(document, [], trust(ops)))).toBe('signer-unknown');
    expect(codeOf(() => verifyDesired(document, [signature], trust(operator())))).toBe('signer-unknown');
    expect(codeOf(() => verifyDesired(document, [signature], []))).toBe('signer-unknown');
  });

  it('does not pass for a bundle’s signature, nor the other way round (S2)', () => {
    const bytes = canonicalBytes(statement());
    const raw = { payloadType: BUNDLE_PAYLOAD_TYPE, payload: Buffer.from(bytes).toString('base64') };
    const crossed = { keyid: alice.publicKey, sig: signDesired(statement() as never, alice).sig };
    expect(codeOf(() => verifyStatement({ ...raw, signatures: [crossed] }, trust(alice)))).toBe('signature-invalid');
    const back = signStatement(statement(), alice).signatures;
    expect(codeOf(() => verifyDesired(statement() as never, back, trust(alice)))).toBe('signature-invalid');
  });
});

describe('the native signer', () => {
  it('signs as nkeys itself does, byte by byte, for every kind of key', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isOperator) => {
        const pair = isOperator ? createOperator() : createAccount();
        const signer = signerFromSeed(new TextDecoder().decode(pair.getSeed()));
        expect(signer.publicKey).toBe(pair.getPublicKey());
        expect(Buffer.from(signer.sign(bytes)).toString('hex')).toBe(Buffer.from(pair.sign(bytes)).toString('hex'));
      }),
      { numRuns: 20 },
    );
  });
});
