/** crypto.subtle against vectors of the RFCs and NIST, and against Node's own implementation of the same standard. */
import { webcrypto } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { cases, HEX, inside, NAME_OF, withSandbox } from './inside.ts';

withSandbox();
const s = `const s = crypto.subtle; ${HEX} ${NAME_OF}`;

describe('vectors', () => {
  cases([
    [
      'digest: FIPS 180-4, "abc"',
      `${s} const abc = new TextEncoder().encode('abc'); return Promise.all(['SHA-1', 'sha-256', { name: 'SHA-384' }, 'SHA-512'].map(async (a) => hex(await s.digest(a, abc))))`,
      [
        'a9993e364706816aba3e25717850c26c9cd0d89d',
        'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
        'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
        'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
      ],
    ],
    [
      'HMAC: RFC 4231, case 2',
      `${s} const k = await s.importKey('raw', new TextEncoder().encode('Jefe'), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
      const data = new TextEncoder().encode('what do ya want for nothing?'); const mac = await s.sign('HMAC', k, data);
      const bad = new Uint8Array(mac.slice(0)); bad[3] ^= 1; return [hex(mac), await s.verify('HMAC', k, mac, data), await s.verify('HMAC', k, bad, data)]`,
      ['5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843', true, false],
    ],
    [
      'HKDF: RFC 5869, case 1',
      `${s} const k = await s.importKey('raw', unhex('0b'.repeat(22)), 'HKDF', false, ['deriveBits']);
      return hex(await s.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: unhex('000102030405060708090a0b0c'), info: unhex('f0f1f2f3f4f5f6f7f8f9') }, k, 336))`,
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    ],
    [
      'AES-GCM: NIST case 4',
      `${s} const k = await s.importKey('raw', unhex('feffe9928665731c6d6a8f9467308308'), 'AES-GCM', false, ['encrypt', 'decrypt']);
      const a = { name: 'AES-GCM', iv: unhex('cafebabefacedbaddecaf888'), additionalData: unhex('feedfacedeadbeeffeedfacedeadbeefabaddad2') };
      const plain = unhex('d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39');
      const out = await s.encrypt(a, k, plain); const back = await s.decrypt(a, k, out); const bad = new Uint8Array(out); bad[0] ^= 1;
      return [hex(out).slice(-32), hex(back) === hex(plain), await nameOf(() => s.decrypt(a, k, bad))]`,
      ['5bc94fbc3221a5db94fae95ae7121a47', true, 'OperationError'],
    ],
    [
      'Ed25519: RFC 8032, test 2',
      `${s} const seed = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb';
      const k = await s.importKey('pkcs8', unhex('302e020100300506032b657004220420' + seed), 'Ed25519', true, ['sign']);
      const pub = await s.importKey('raw', unhex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'), 'Ed25519', true, ['verify']);
      const sig = await s.sign('Ed25519', k, unhex('72')); return [hex(sig), await s.verify('Ed25519', pub, sig, unhex('72')), await s.verify('Ed25519', pub, sig, unhex('73')), (await s.exportKey('jwk', k)).x, hex(await s.exportKey('pkcs8', k)).slice(-64) === seed]`,
      [
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
        true,
        false,
        'PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw',
        true,
      ],
    ],
  ]);
});

/** Node's implementation as the other side: keys and signatures of one must be good for the other. */
const node = webcrypto.subtle;
const data = new TextEncoder().encode('the same words on both sides');
const hex = (bytes: ArrayBuffer | Uint8Array) => Buffer.from(bytes as ArrayBuffer).toString('hex');
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));

describe('with Node on the other side', () => {
  test.each([
    ['ECDSA', { name: 'ECDSA', namedCurve: 'P-256' }, { name: 'ECDSA', hash: 'SHA-256' }],
    ['ECDSA', { name: 'ECDSA', namedCurve: 'P-384' }, { name: 'ECDSA', hash: 'SHA-384' }],
    ['ECDSA', { name: 'ECDSA', namedCurve: 'P-521' }, { name: 'ECDSA', hash: 'SHA-512' }],
    ['Ed25519', { name: 'Ed25519' }, { name: 'Ed25519' }],
  ])('%s %o', async (_, kind, how) => {
    const pair = (await node.generateKey(kind, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
    const theirs = {
      pkcs8: hex(await node.exportKey('pkcs8', pair.privateKey)),
      spki: hex(await node.exportKey('spki', pair.publicKey)),
      raw: hex(await node.exportKey('raw', pair.publicKey)),
      jwk: await node.exportKey('jwk', pair.privateKey),
      signature: hex(await node.sign(how, pair.privateKey, data)),
    };
    const ours = await inside(
      `${s} const { kind, how, theirs, data } = input; const bytes = unhex(data); const sig = unhex(theirs.signature);
      const own = await s.importKey('pkcs8', unhex(theirs.pkcs8), kind, true, ['sign']); const jwk = await s.importKey('jwk', theirs.jwk, kind, true, ['sign']);
      const verified = []; for (const format of ['spki', 'raw']) verified.push(await s.verify(how, await s.importKey(format, unhex(theirs[format]), kind, true, ['verify']), sig, bytes));
      const made = await s.generateKey(kind, true, ['sign', 'verify']); sig[5] ^= 1;
      verified.push(!(await s.verify(how, made.publicKey, sig, bytes)), await s.verify(how, made.publicKey, await s.sign(how, made.privateKey, bytes), bytes));
      return { verified, signature: hex(await s.sign(how, jwk, bytes)), pkcs8: hex(await s.exportKey('pkcs8', made.privateKey)), spki: hex(await s.exportKey('spki', made.publicKey)),
        again: (await s.exportKey('jwk', own)).d === theirs.jwk.d, made: hex(await s.sign(how, made.privateKey, bytes)) }`,
      { kind, how, theirs, data: hex(data) },
    );
    expect(ours).toMatchObject({ verified: [true, true, true, true], again: true });
    expect(await node.verify(how, pair.publicKey, bytes(ours.signature), data)).toBe(true);
    const made = await node.importKey('spki', bytes(ours.spki), kind, true, ['verify']);
    expect(await node.verify(how, made, bytes(ours.made), data)).toBe(true);
    const secret = await node.importKey('pkcs8', bytes(ours.pkcs8), kind, true, ['sign']);
    expect(await node.verify(how, made, await node.sign(how, secret, data), data)).toBe(true);
  });

  test.each([
    [{ name: 'ECDH', namedCurve: 'P-256' }, 256],
    [{ name: 'X25519' }, 256],
  ])('agreement %o', async (kind, length) => {
    const pair = (await node.generateKey(kind, true, ['deriveBits'])) as webcrypto.CryptoKeyPair;
    const theirs = hex(await node.exportKey('raw', pair.publicKey));
    const ours = await inside(
      `${s} const { kind, theirs, length } = input; const pair = await s.generateKey(kind, true, ['deriveBits']);
      const other = await s.importKey('raw', unhex(theirs), kind, true, []);
      return { bits: hex(await s.deriveBits({ name: kind.name, public: other }, pair.privateKey, length)), raw: hex(await s.exportKey('raw', pair.publicKey)) }`,
      { kind, theirs, length },
    );
    const other = await node.importKey('raw', bytes(ours.raw), kind, true, []);
    expect(hex(await node.deriveBits({ name: kind.name, public: other } as never, pair.privateKey, length))).toBe(ours.bits);
  });

  test.each([
    ['RSASSA-PKCS1-v1_5', {}],
    ['RSA-PSS', { saltLength: 32 }],
  ])('%s: verifying; a secret key is refused with the reason', async (name, more) => {
    const kind = { name, hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
    const pair = (await node.generateKey(kind, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
    const theirs = {
      spki: hex(await node.exportKey('spki', pair.publicKey)),
      jwk: await node.exportKey('jwk', pair.publicKey),
      pkcs8: hex(await node.exportKey('pkcs8', pair.privateKey)),
      signature: hex(await node.sign({ name, ...more } as never, pair.privateKey, data)),
    };
    expect(
      await inside(
        `${s} const { name, more, theirs } = input; const data = unhex(input.data); const a = { name, hash: 'SHA-256' }; const how = { name, ...more };
        const spki = await s.importKey('spki', unhex(theirs.spki), a, true, ['verify']); const jwk = await s.importKey('jwk', theirs.jwk, a, true, ['verify']);
        const sig = unhex(theirs.signature); const bad = sig.slice(); bad[100] ^= 1;
        return [await s.verify(how, spki, sig, data), await s.verify(how, jwk, sig, data), await s.verify(how, spki, bad, data), await s.verify(how, spki, sig, data.slice(1)),
          await nameOf(() => s.importKey('pkcs8', unhex(theirs.pkcs8), a, true, ['sign'])), spki.algorithm.modulusLength]`,
        { name, more, theirs, data: hex(data) },
      ),
    ).toEqual([true, true, false, false, 'NotSupportedError', 2048]);
  });

  test.each([
    ['AES-CBC', { iv: '000102030405060708090a0b0c0d0e0f' }],
    ['AES-CTR', { counter: '000102030405060708090a0b0c0d0e0f', length: 64 }],
    ['AES-GCM', { iv: '000102030405060708090a0b' }],
  ])('%s', async (name, given) => {
    const how = Object.fromEntries(Object.entries(given).map(([k, v]) => [k, typeof v === 'string' ? bytes(v) : v]));
    const key = await node.importKey('raw', bytes('11'.repeat(32)), name, true, ['encrypt', 'decrypt']);
    const theirs = hex(await node.encrypt({ name, ...how } as never, key, data));
    const ours = await inside(
      `${s} const { name, given } = input; const how = { name, ...Object.fromEntries(Object.entries(given).map(([k, v]) => [k, typeof v === 'string' ? unhex(v) : v])) };
      const key = await s.importKey('raw', unhex('11'.repeat(32)), name, true, ['encrypt', 'decrypt']);
      return [hex(await s.encrypt(how, key, unhex(input.data))), hex(await s.decrypt(how, key, unhex(input.theirs)))]`,
      { name, given, theirs, data: hex(data) },
    );
    expect(ours).toEqual([theirs, hex(data)]);
  });

  test('PBKDF2 to an AES key, wrapping', async () => {
    const password = await node.importKey('raw', data, 'PBKDF2', false, ['deriveBits']);
    const how = { name: 'PBKDF2', hash: 'SHA-512', iterations: 1000 };
    const bits = hex(await node.deriveBits({ ...how, salt: data }, password, 256));
    expect(
      await inside(
        `${s} const data = unhex(input.data); const password = await s.importKey('raw', data, 'PBKDF2', false, ['deriveKey']);
        const key = await s.deriveKey({ ...input.how, salt: data }, password, { name: 'AES-KW', length: 256 }, true, ['wrapKey', 'unwrapKey']);
        const inner = await s.generateKey({ name: 'AES-GCM', length: 128 }, true, ['encrypt']); const wrapped = await s.wrapKey('raw', inner, key, 'AES-KW');
        const back = await s.unwrapKey('raw', wrapped, key, 'AES-KW', 'AES-GCM', true, ['encrypt']);
        return [hex(await s.exportKey('raw', key)), wrapped.byteLength, hex(await s.exportKey('raw', back)) === hex(await s.exportKey('raw', inner))]`,
        { how, data: hex(data) },
      ),
    ).toEqual([bits, 24, true]);
  });
});

describe('what is refused', () => {
  cases([
    ['an unknown algorithm', `${s} return nameOf(() => s.generateKey('RSA-OAEP', true, ['encrypt']))`, 'NotSupportedError'],
    ['an unknown hash', `${s} return nameOf(() => s.digest('MD5', new Uint8Array(1)))`, 'NotSupportedError'],
    [
      'a usage that does not fit',
      `${s} return nameOf(() => s.generateKey({ name: 'AES-GCM', length: 256 }, true, ['sign']))`,
      'SyntaxError',
    ],
    ['no usage', `${s} return nameOf(() => s.generateKey({ name: 'AES-GCM', length: 256 }, true, []))`, 'SyntaxError'],
    [
      'a key used for what it is not for',
      `${s} const k = await s.generateKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['sign']); return [await nameOf(() => s.verify('HMAC', k, new Uint8Array(32), new Uint8Array(1))), await nameOf(() => s.exportKey('raw', k)), await nameOf(() => s.encrypt('AES-GCM', k, new Uint8Array(1)))]`,
      ['InvalidAccessError', 'InvalidAccessError', 'InvalidAccessError'],
    ],
    [
      'what is no key',
      `${s} return [await nameOf(() => s.importKey('spki', new Uint8Array([48, 3, 1, 1, 1]), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify'])), await nameOf(() => s.importKey('raw', new Uint8Array(65).fill(4), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify'])), await nameOf(() => new CryptoKey()), await nameOf(() => s.exportKey('raw', {}))]`,
      ['DataError', 'DataError', 'TypeError', 'TypeError'],
    ],
  ]);
});
