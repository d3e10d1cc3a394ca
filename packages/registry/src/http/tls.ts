/**
 * The certificate the registry serves, from files that may change while it runs.
 *
 * Promises:
 * C1. The files are looked at every second; once they make a whole (certificate and key fit), new handshakes get them. Connections that
 *     stand are not touched.
 * C2. Files that make no whole change nothing: the last good ones serve on, and health says what is wrong with the new ones.
 * C3. Session tickets of a former certificate are worth nothing: whoever comes back shows who they are again.
 */
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Server as HttpsServer } from 'node:https';
import { createSecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { type Clock, Fault, type Logger, type Timer } from '@cim/contracts';
import type { ShownCertificate } from '../certificates.ts';
import type { Settings } from '../config.ts';

export type TlsSettings = NonNullable<Settings['http']['tls']>;

export interface TlsFiles {
  /** Reads the files. @throws Fault `configuration-invalid` naming the one that is wrong */
  start(): Promise<void>;
  stop(): void;
  /** What a new server is made with. */
  options(): SecureContextOptions;
  /** A server that gets what is read later. */
  serve(server: HttpsServer): void;
  /** Why the files as they are now are not in force. */
  trouble(): string | undefined;
  /** When the certificate in force ends, ms since 1970. */
  expiresAt(): number | undefined;
}

const LOOK_MS = 1_000;

export function createTlsFiles(deps: { readonly clock: Clock; readonly log: Logger; readonly tls: TlsSettings }): TlsFiles {
  const { clock, log, tls } = deps;
  const files = [tls.certFile, tls.keyFile, ...(tls.clientCaFile === undefined ? [] : [tls.clientCaFile])];
  const servers = new Set<HttpsServer>();
  let current: SecureContextOptions | undefined;
  let expires: number | undefined;
  let seen = '';
  let trouble: string | undefined;
  let timer: Timer | undefined;
  let looking = false;

  /** @throws Error naming the file or what does not fit */
  const load = async () => {
    const [cert, key, ca] = await Promise.all(files.map((file) => readFile(file)));
    const options: SecureContextOptions = {
      cert: cert!,
      key: key!,
      minVersion: 'TLSv1.2',
      ...(ca === undefined ? {} : { ca }),
    };
    createSecureContext(options);
    const until = Date.parse(new X509Certificate(cert!).validTo);
    if (until <= clock.now() && (expires ?? 0) > clock.now())
      throw new Error(`${tls.certFile}: the certificate ended ${new Date(until).toISOString()}`);
    for (const server of servers) server.setSecureContext(options);
    current = options;
    expires = until;
  };

  const look = async () => {
    if (looking) return;
    looking = true;
    try {
      const marks = await Promise.all(files.map((file) => stat(file)));
      const mark = marks.map(({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`).join(' ');
      if (mark === seen && trouble === undefined) return;
      await load();
      if (mark !== seen) log.info({ expires: new Date(expires!).toISOString() }, 'read the certificate of the registry');
      seen = mark;
      trouble = undefined;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== trouble)
        log.error({ error: message }, 'the certificate files cannot be used; the last good ones stay in force');
      trouble = message;
    } finally {
      looking = false;
    }
  };

  return {
    async start() {
      await look();
      if (trouble !== undefined)
        throw new Fault('configuration-invalid', `http.tls: ${trouble}`, { issues: [{ path: 'http.tls', message: trouble }] });
      timer = clock.every(LOOK_MS, () => void look());
    },
    stop: () => timer?.cancel(),
    options: () => current!,
    serve: (server) => void servers.add(server),
    trouble: () => trouble,
    expiresAt: () => expires,
  };
}

/** What the client of a TLS connection showed, or undefined when it showed nothing. */
export function shownCertificate(socket: TLSSocket): ShownCertificate | undefined {
  const shown = socket.getPeerX509Certificate?.();
  if (!shown) return undefined;
  const { fingerprint256, subject, validFrom, validTo } = shown;
  return { fingerprint256, subject, validFrom, validTo, authorized: socket.authorized };
}
