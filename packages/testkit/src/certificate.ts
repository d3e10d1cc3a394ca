/**
 * Certificates for tests, made on the spot: an authority, and what it signs. Only what X.509 needs for TLS is written (RFC 5280), in DER by
 * hand, so that tests need no program of the machine and no file that ends one day.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { systemClock } from '@cim/contracts';

export interface TestCertificate {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  /** SHA-256 of the certificate, hex with colons. */
  readonly fingerprint: string;
}

export interface TestAuthority extends TestCertificate {
  issue(options: IssueOptions): TestCertificate;
}

export interface IssueOptions {
  /** Common name. */
  readonly name: string;
  readonly organisation?: string;
  /** For loopback unless said otherwise. */
  readonly addresses?: readonly string[];
  /** ms since 1970. Default: an hour ago. */
  readonly from?: number;
  /** ms since 1970. Default: in a day. */
  readonly to?: number;
}

const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const size = body.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...parts: readonly Uint8Array[]) => der(0x30, ...parts);
const set = (...parts: readonly Uint8Array[]) => der(0x31, ...parts);
const utf8 = (text: string) => der(0x0c, Buffer.from(text));
const bits = (bytes: Uint8Array) => der(0x03, Buffer.from([0]), bytes);
const octets = (bytes: Uint8Array) => der(0x04, bytes);
const yes = der(0x01, Buffer.from([0xff]));
const oid = (text: string): Buffer => {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const base128 = (value: number): number[] => {
    const out = [value & 0x7f];
    for (let left = value >> 7; left > 0; left >>= 7) out.unshift((left & 0x7f) | 0x80);
    return out;
  };
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
};
/** GeneralizedTime, in seconds. */
const time = (ms: number) => der(0x18, Buffer.from(`${new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`));
const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const pem = (label: string, bytes: Buffer) =>
  `-----BEGIN ${label}-----\n${bytes.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()}\n-----END ${label}-----\n`;

const nameOf = ({ name, organisation }: Pick<IssueOptions, 'name' | 'organisation'>) =>
  sequence(
    set(sequence(oid('2.5.4.3'), utf8(name))),
    ...(organisation === undefined ? [] : [set(sequence(oid('2.5.4.10'), utf8(organisation)))]),
  );

const extension = (id: string, value: Buffer, critical = false) => sequence(oid(id), ...(critical ? [yes] : []), octets(value));

function build(
  options: IssueOptions,
  key: KeyObject,
  publicKey: KeyObject,
  issuer: Buffer,
  signer: KeyObject,
  authority: boolean,
) {
  const now = systemClock.now();
  const serial = randomBytes(8);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const alternatives = (options.addresses ?? ['127.0.0.1', 'localhost']).map((address) =>
    /^[\d.]+$/.test(address) ? der(0x87, Buffer.from(address.split('.').map(Number))) : der(0x82, Buffer.from(address)),
  );
  const extensions = sequence(
    extension('2.5.29.19', sequence(...(authority ? [yes] : [])), true),
    ...(authority ? [] : [extension('2.5.29.17', sequence(...alternatives))]),
  );
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ECDSA_SHA256,
    issuer,
    sequence(time(options.from ?? now - 3_600_000), time(options.to ?? now + 86_400_000)),
    nameOf(options),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const whole = sequence(body, ECDSA_SHA256, bits(sign('sha256', body, signer)));
  const hash = createHash('sha256').update(whole).digest('hex').toUpperCase();
  return {
    cert: pem('CERTIFICATE', whole),
    key: key.export({ type: 'pkcs8', format: 'pem' }) as string,
    fingerprint: hash.match(/../g)!.join(':'),
  };
}

const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** An authority of its own, good for a day, and certificates it signs. */
export function testAuthority(name = 'Test Authority'): TestAuthority {
  const { privateKey, publicKey } = pair();
  const issuer = nameOf({ name });
  return {
    ...build({ name }, privateKey, publicKey, issuer, privateKey, true),
    issue(options) {
      const own = pair();
      return build(options, own.privateKey, own.publicKey, issuer, privateKey, false);
    },
  };
}
