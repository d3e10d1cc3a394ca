/** Key pairs of `crypto.subtle`: ECDSA and ECDH on the NIST curves, Ed25519, X25519; of RSA what needs no secret, verifying. */
import { part, random } from '../given.ts';
import { bitsOf, inside, isOid, numberOf, OID, read, sequence, TAG, write, writeBits, writeSmall } from './der.ts';
import {
  type Algorithm,
  bytesOf,
  type CryptoKey,
  dataError,
  fail,
  fromUrl64,
  type Jwk,
  jwkFor,
  jwkOf,
  keyOf,
  type Material,
  material,
  needUsages,
  notSupported,
  toUrl64,
  type Usage,
  usagesWithin,
} from './key.ts';
import type { Kind } from './kinds.ts';
import { hashOf } from './secret.ts';

type Nist = 'P-256' | 'P-384' | 'P-521';
type Edwards = 'Ed25519' | 'X25519';
const NIST: Readonly<Record<Nist, { readonly part: string; readonly size: number }>> = {
  'P-256': { part: 'p256', size: 32 },
  'P-384': { part: 'p384', size: 48 },
  'P-521': { part: 'p521', size: 66 },
};
const nistOf = (given: unknown): Nist =>
  Object.hasOwn(NIST, String(given)) ? (given as Nist) : notSupported(`curve ${JSON.stringify(given)}`);
const curveOf = (name: Nist | Edwards) => part('curves')[name in NIST ? NIST[name as Nist].part : name.toLowerCase()];

/** How the two families of curves differ. */
interface Shape {
  readonly curve: (algorithm: Algorithm) => Nist | Edwards;
  readonly algorithm: (curve: Nist | Edwards) => Algorithm;
  readonly private: readonly Usage[];
  readonly public: readonly Usage[];
}

/** The public octets, checked to be a point. */
function pointOf(curve: Nist | Edwards, bytes: Uint8Array): Uint8Array {
  try {
    if (curve === 'X25519') return bytes.length === 32 ? bytes : dataError('X25519: expected 32 octets');
    if (curve === 'Ed25519') {
      if (bytes.length !== 32) dataError('Ed25519: expected 32 octets');
      return bytes;
    }
    return curveOf(curve).Point.fromBytes(bytes).toBytes(false);
  } catch {
    return dataError(`${curve}: not a point of the curve`);
  }
}
const publicOf = (curve: Nist | Edwards, secret: Uint8Array): Uint8Array => {
  try {
    return curve in NIST ? curveOf(curve).getPublicKey(secret, false) : curveOf(curve).getPublicKey(secret);
  } catch {
    return dataError(`${curve}: not a secret of the curve`);
  }
};
const newSecret = (curve: Nist | Edwards): Uint8Array => {
  if (!(curve in NIST)) return random(new Uint8Array(32));
  const { utils, lengths } = curveOf(curve);
  return utils.randomSecretKey(random(new Uint8Array(lengths.seed)));
};

const idOf = (curve: Nist | Edwards): Uint8Array[] =>
  curve in NIST ? [write(TAG.oid, OID.ec), write(TAG.oid, OID[curve])] : [write(TAG.oid, OID[curve])];
function needId(content: Uint8Array, curve: Nist | Edwards): void {
  const [kind, which] = read(content);
  const fits = curve in NIST ? isOid(kind, OID.ec) && isOid(which, OID[curve]) : isOid(kind, OID[curve]);
  if (!fits) dataError(`DER: the key is not of ${curve}`);
}
function fromSpki(bytes: Uint8Array, curve: Nist | Edwards): Uint8Array {
  const [id, point] = sequence(bytes);
  needId(inside(id, TAG.sequence), curve);
  return bitsOf(point);
}
function fromPkcs8(bytes: Uint8Array, curve: Nist | Edwards): Uint8Array {
  const [, id, key] = sequence(bytes);
  needId(inside(id, TAG.sequence), curve);
  const content = inside(key, TAG.octets);
  return curve in NIST ? inside(sequence(content)[1], TAG.octets) : inside(read(content)[0], TAG.octets);
}
function toPkcs8(curve: Nist | Edwards, { secret, point }: Material): Uint8Array {
  const key =
    curve in NIST
      ? write(TAG.sequence, writeSmall(1), write(TAG.octets, secret!), write(0xa1, writeBits(point!)))
      : write(TAG.octets, secret!);
  return write(TAG.sequence, writeSmall(0), write(TAG.sequence, ...idOf(curve)), write(TAG.octets, key));
}

function fromJwk(jwk: Jwk, curve: Nist | Edwards): { point: Uint8Array; secret: Uint8Array | undefined } {
  if (jwk['crv'] !== curve) dataError(`jwk: crv: expected "${curve}"`);
  const x = fromUrl64(jwk['x'], 'x');
  const secret = jwk['d'] === undefined ? undefined : fromUrl64(jwk['d'], 'd');
  if (!(curve in NIST)) return { point: x, secret };
  const y = fromUrl64(jwk['y'], 'y');
  const { size } = NIST[curve as Nist];
  if (x.length !== size || y.length !== size) dataError(`jwk: x, y: expected ${size} octets each`);
  return { point: Uint8Array.of(4, ...x, ...y), secret };
}
function toJwk(key: CryptoKey, curve: Nist | Edwards, { point, secret }: Material): Jwk {
  const d = secret === undefined ? {} : { d: toUrl64(secret) };
  if (!(curve in NIST)) return jwkFor(key, { kty: 'OKP', crv: curve, x: toUrl64(point!), ...d });
  const { size } = NIST[curve as Nist];
  const [x, y] = [toUrl64(point!.subarray(1, 1 + size)), toUrl64(point!.subarray(1 + size))];
  return jwkFor(key, { kty: 'EC', crv: curve, x, y, ...d });
}

function pairs(shape: Shape, work: Partial<Kind>): Kind {
  const secretKey = (curve: Nist | Edwards, secret: Uint8Array, extractable: boolean, usages: readonly Usage[]) => {
    if (curve in NIST && secret.length !== NIST[curve as Nist].size) dataError(`${curve}: a secret of ${secret.length} octets`);
    if (!(curve in NIST) && secret.length !== 32) dataError(`${curve}: a secret of ${secret.length} octets`);
    return keyOf('private', extractable, shape.algorithm(curve), usages, { secret, point: publicOf(curve, secret) });
  };
  const publicKey = (curve: Nist | Edwards, point: Uint8Array, extractable: boolean, usages: readonly Usage[]) =>
    keyOf('public', extractable, shape.algorithm(curve), usages, { point: pointOf(curve, point) });
  return {
    generate(algorithm, extractable, asked) {
      const curve = shape.curve(algorithm);
      usagesWithin(asked, [...shape.private, ...shape.public]);
      const own = needUsages(shape.private.filter((usage) => asked.includes(usage)));
      const privateKey = secretKey(curve, newSecret(curve), extractable, own);
      const others = shape.public.filter((usage) => asked.includes(usage));
      return { privateKey, publicKey: publicKey(curve, material(privateKey).point!, true, others) };
    },
    import(format, data, algorithm, extractable, asked) {
      const curve = shape.curve(algorithm);
      if (format === 'raw' || format === 'spki') {
        const bytes = bytesOf(data, 'key data');
        const point = format === 'raw' ? bytes : fromSpki(bytes, curve);
        return publicKey(curve, point, extractable, usagesWithin(asked, shape.public));
      }
      if (format === 'pkcs8')
        return secretKey(
          curve,
          fromPkcs8(bytesOf(data, 'key data'), curve),
          extractable,
          needUsages(usagesWithin(asked, shape.private)),
        );
      const jwk = jwkOf(data, curve in NIST ? 'EC' : 'OKP', asked, extractable);
      const { point, secret } = fromJwk(jwk, curve);
      if (secret === undefined) return publicKey(curve, point, extractable, usagesWithin(asked, shape.public));
      return secretKey(curve, secret, extractable, needUsages(usagesWithin(asked, shape.private)));
    },
    export(format, key) {
      const curve = shape.curve(key.algorithm);
      const held = material(key);
      const isPrivate = key.type === 'private';
      if (format === 'jwk') return toJwk(key, curve, isPrivate ? held : { point: held.point! });
      if ((format === 'pkcs8') !== isPrivate)
        fail('InvalidAccessError', `exportKey: format "${format}" is not for a ${key.type} key`);
      if (format === 'raw') return held.point!.slice();
      if (format === 'spki') return write(TAG.sequence, write(TAG.sequence, ...idOf(curve)), writeBits(held.point!));
      return toPkcs8(curve, held);
    },
    ...work,
  };
}

const nist = (name: string, own: readonly Usage[], others: readonly Usage[]): Shape => ({
  curve: (algorithm) => nistOf(algorithm['namedCurve']),
  algorithm: (curve) => ({ name, namedCurve: curve }),
  private: own,
  public: others,
});
const fixed = (name: Edwards, own: readonly Usage[], others: readonly Usage[]): Shape => ({
  curve: () => name,
  algorithm: () => ({ name }),
  private: own,
  public: others,
});
const plain = { prehash: false, lowS: false } as const;
const hashed = (algorithm: Algorithm, data: Uint8Array): Uint8Array => hashOf(algorithm['hash']).run(data);
const nistKey = (key: CryptoKey) => curveOf(nistOf(key.algorithm['namedCurve']));

function agreed(
  algorithm: Algorithm,
  key: CryptoKey,
  length: number | null,
  share: (own: Uint8Array, other: Uint8Array) => Uint8Array,
): Uint8Array {
  const other = algorithm['public'] as CryptoKey;
  const { point } = material(other);
  const fits = other.algorithm.name === key.algorithm.name && other.algorithm['namedCurve'] === key.algorithm['namedCurve'];
  if (point === undefined || other.type !== 'public' || !fits)
    fail('InvalidAccessError', 'derive: public: expected the public key of the other side');
  let bits: Uint8Array;
  try {
    bits = share(material(key).secret!, point!);
  } catch {
    return fail('OperationError', 'derive: the two keys agree on nothing');
  }
  if (length === null) return bits;
  if (length > bits.length * 8 || length % 8 !== 0)
    fail('OperationError', `derive: length: at most ${bits.length * 8}, a multiple of 8`);
  return bits.slice(0, length / 8);
}

/** The public operation: RFC 8017, section 5.2.2. */
function opened(key: CryptoKey, signature: Uint8Array): Uint8Array | undefined {
  const { modulus, exponent } = material(key) as Required<Material>;
  const size = Math.ceil(modulus.toString(16).length / 2);
  const number = numberOf(signature);
  if (signature.length !== size || number >= modulus) return undefined;
  let result = 1n;
  let base = number;
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * base) % modulus;
    base = (base * base) % modulus;
  }
  const text = result.toString(16).padStart(size * 2, '0');
  return Uint8Array.from({ length: size }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}
const PREFIX: Readonly<Record<string, string>> = {
  'SHA-1': '3021300906052b0e03021a05000414',
  'SHA-256': '3031300d060960864801650304020105000420',
  'SHA-384': '3041300d060960864801650304020205000430',
  'SHA-512': '3051300d060960864801650304020305000440',
};
const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** EMSA-PKCS1-v1_5: made anew and compared, never parsed (RFC 8017, 8.2.2). */
function verifyPkcs1(key: CryptoKey, signature: Uint8Array, data: Uint8Array): boolean {
  const { name, run } = hashOf(key.algorithm['hash']);
  const found = opened(key, signature);
  if (found === undefined) return false;
  const end = `00${PREFIX[name]}${hex(run(data))}`;
  const fill = found.length - 2 - end.length / 2;
  return fill >= 8 && hex(found) === `0001${'ff'.repeat(fill)}${end}`;
}
/** EMSA-PSS-VERIFY (RFC 8017, 9.1.2). */
function verifyPss(algorithm: Algorithm, key: CryptoKey, signature: Uint8Array, data: Uint8Array): boolean {
  const { run } = hashOf(key.algorithm['hash']);
  const found = opened(key, signature);
  if (found === undefined) return false;
  const bits = material(key).modulus!.toString(2).length - 1;
  const size = Math.ceil(bits / 8);
  const message = found.subarray(found.length - size);
  const salt = Number(algorithm['saltLength']);
  const { outputLen } = run;
  if (!(salt >= 0) || size < outputLen + salt + 2 || message.at(-1) !== 0xbc) return false;
  const masked = message.subarray(0, size - outputLen - 1);
  const digest = message.subarray(size - outputLen - 1, size - 1);
  const free = 8 * size - bits;
  if (masked[0]! >> (8 - free) !== 0) return false;
  const open = masked.map(
    (byte, i) => byte ^ run(Uint8Array.of(...digest, 0, 0, 0, Math.floor(i / outputLen)))[i % outputLen]!,
  );
  open[0]! &= 0xff >> free;
  const fill = open.length - salt - 1;
  if (open.subarray(0, fill).some((byte) => byte !== 0) || open[fill] !== 1) return false;
  const again = run(Uint8Array.of(...new Uint8Array(8), ...run(data), ...open.subarray(fill + 1)));
  return hex(again) === hex(digest);
}

function rsa(name: string, verify: NonNullable<Kind['verify']>): Kind {
  const made = (n: Uint8Array, e: Uint8Array, hash: string, extractable: boolean, usages: readonly Usage[]) => {
    const modulus = numberOf(n);
    const modulusLength = modulus.toString(2).length;
    if (modulusLength < 1024 || modulusLength > 8192) notSupported(`RSA with ${modulusLength} bits; there are 1024 to 8192`);
    const exponent = numberOf(e);
    if (exponent < 3n || exponent % 2n === 0n || exponent >= 1n << 33n) dataError('RSA: an exponent that cannot be');
    const first = e.findIndex((byte) => byte !== 0);
    const algorithm = { name, modulusLength, publicExponent: e.slice(Math.max(0, first)), hash: { name: hash } };
    return keyOf('public', extractable, algorithm, usages, { modulus, exponent });
  };
  return {
    import(format, data, algorithm, extractable, asked) {
      const hash = hashOf(algorithm['hash']).name;
      if (format === 'pkcs8')
        notSupported('secret keys of RSA: signing with them in script could be timed; use ECDSA or Ed25519');
      const usages = usagesWithin(asked, ['verify']);
      if (format === 'spki') {
        const [id, key] = sequence(bytesOf(data, 'key data'));
        if (!isOid(read(inside(id, TAG.sequence))[0], OID.rsa)) dataError('DER: the key is not of RSA');
        const [n, e] = sequence(bitsOf(key));
        return made(inside(n, TAG.integer), inside(e, TAG.integer), hash, extractable, usages);
      }
      if (format !== 'jwk') return notSupported(`format "${format}" of RSA`);
      const jwk = jwkOf(data, 'RSA', asked, extractable);
      if (jwk['d'] !== undefined)
        notSupported('secret keys of RSA: signing with them in script could be timed; use ECDSA or Ed25519');
      return made(fromUrl64(jwk['n'], 'n'), fromUrl64(jwk['e'], 'e'), hash, extractable, usages);
    },
    verify,
  };
}

export const pairKinds: Readonly<Record<string, Kind>> = {
  ECDSA: pairs(nist('ECDSA', ['sign'], ['verify']), {
    sign: (algorithm, key, data) => nistKey(key).sign(hashed(algorithm, data), material(key).secret, plain),
    verify(algorithm, key, signature, data) {
      try {
        return nistKey(key).verify(signature, hashed(algorithm, data), material(key).point, plain);
      } catch {
        return false;
      }
    },
  }),
  ECDH: pairs(nist('ECDH', ['deriveKey', 'deriveBits'], []), {
    derive: (algorithm, key, length) =>
      agreed(algorithm, key, length, (own, other) => nistKey(key).getSharedSecret(own, other, true).slice(1)),
  }),
  Ed25519: pairs(fixed('Ed25519', ['sign'], ['verify']), {
    sign: (_, key, data) => curveOf('Ed25519').sign(data, material(key).secret),
    verify(_, key, signature, data) {
      try {
        return curveOf('Ed25519').verify(signature, data, material(key).point, { zip215: false });
      } catch {
        return false;
      }
    },
  }),
  X25519: pairs(fixed('X25519', ['deriveKey', 'deriveBits'], []), {
    derive: (algorithm, key, length) =>
      agreed(algorithm, key, length, (own, other) => curveOf('X25519').getSharedSecret(own, other)),
  }),
  'RSASSA-PKCS1-v1_5': rsa('RSASSA-PKCS1-v1_5', (_, key, signature, data) => verifyPkcs1(key, signature, data)),
  'RSA-PSS': rsa('RSA-PSS', verifyPss),
};
