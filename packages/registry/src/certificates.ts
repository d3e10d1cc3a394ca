/**
 * Client certificates that stand for callers, as the configuration says. That a client has the key of the certificate it shows is proved by
 * the TLS handshake; here it is only asked whose it is.
 *
 * Promises:
 * M1. A fingerprint names one certificate, and needs no authority. A subject is believed only where an authority of the configuration
 *     signed the certificate: anybody can write any subject.
 * M2. A certificate outside its dates is none.
 */
import type { ClientCertificate } from '@cim/contracts';
import type { Caller } from './auth.ts';

/** What a TLS connection says of its client. */
export interface ShownCertificate {
  /** SHA-256, hex with colons, as Node gives it. */
  readonly fingerprint256: string;
  /** One attribute a line, as Node gives it: `CN=ci\nO=Acme`. */
  readonly subject: string;
  readonly validFrom: string;
  readonly validTo: string;
  /** True when an authority of the configuration signed it. */
  readonly authorized: boolean;
}

const plain = (fingerprint: string) => fingerprint.replaceAll(':', '').toLowerCase();

/** The caller a certificate stands for, or undefined. Pure. @param now ms since 1970 */
export function certificateCaller(
  shown: ShownCertificate,
  clients: readonly ClientCertificate[],
  now: number,
): Caller | undefined {
  if (!(Date.parse(shown.validFrom) <= now && now < Date.parse(shown.validTo))) return undefined;
  const subject = shown.subject.split('\n').join(',');
  const found = clients.find((client) =>
    client.fingerprint !== undefined
      ? plain(client.fingerprint) === plain(shown.fingerprint256)
      : shown.authorized && client.subject === subject,
  );
  return found && { name: found.name, roles: found.roles, via: 'certificate', scope: found.scope };
}
