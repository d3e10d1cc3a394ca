/**
 * What every request passes before its handler: its head is screened, its sender identified, the rate counted, role and scope checked. Of
 * its body nothing is read before all of that.
 *
 * Promises:
 * G1. A token that was sent and is none is a refusal; a certificate never stands in for it.
 * G2. Before a change, a managed token is looked up at the hub: revoked is revoked, wherever that was said.
 * G3. A body that does not come in time ends the request; uploads have bounds of their own.
 */
import type { TLSSocket } from 'node:tls';
import { type ClientCertificate, type Clock, Fault } from '@cim/contracts';
import rateLimit from '@fastify/rate-limit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Caller, demand, demandScope } from '../auth.ts';
import { certificateCaller } from '../certificates.ts';
import type { TokenBook } from '../token-file.ts';
import type { Tokens } from '../tokens.ts';
import type { App } from './app.ts';
import { createFailures } from './failures.ts';
import { permissions } from './permissions.ts';
import { BUNDLE_MEDIA_TYPE, routes } from './routes.ts';
import { screen } from './screen.ts';
import { shownCertificate } from './tls.ts';

export interface GateDeps {
  readonly clock: Clock;
  readonly book: TokenBook;
  readonly tokens: Tokens;
  readonly clients: readonly ClientCertificate[];
  readonly requestsPerMinute: number;
  readonly failuresPerMinute: number;
  readonly bodyTimeoutMs: number;
}

const BEARER = /^bearer +([\x21-\x7e]{1,512})$/i;

export async function installGate(app: App, deps: GateDeps): Promise<void> {
  const { clock, book, tokens, clients, requestsPerMinute, bodyTimeoutMs } = deps;
  const failures = createFailures(clock, deps.failuresPerMinute);

  const identify = async ({ headers: { authorization }, raw, ip }: FastifyRequest): Promise<Caller | undefined> => {
    if (authorization !== undefined) {
      const token = BEARER.exec(authorization)?.[1];
      const caller = token === undefined ? undefined : (book.identify(token) ?? (await tokens.identify(token)));
      if (!caller) await failures.wrong(ip);
      return caller;
    }
    const shown =
      clients.length > 0 && (raw.socket as TLSSocket).encrypted ? shownCertificate(raw.socket as TLSSocket) : undefined;
    return shown && certificateCaller(shown, clients, clock.now());
  };

  app.decorateRequest('caller', undefined);
  app.decorateRequest('proofGiven', false);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id).header('cache-control', 'no-store');
    const wrong = screen(request.raw);
    if (wrong) throw wrong;
    request.proofGiven = request.headers.authorization !== undefined;
    request.caller = await identify(request);
  });
  await app.register(rateLimit, {
    max: requestsPerMinute,
    timeWindow: 60_000,
    keyGenerator: ({ caller, ip }) => (caller ? `${caller.via} ${caller.tokenId ?? caller.name}` : `address ${ip}`),
    errorResponseBuilder: (_, { after }) =>
      new Fault('rate-limited', `at most ${requestsPerMinute} requests a minute (limits.requestsPerMinute); again in ${after}`),
  });
  // After the rate has been counted, before a body is read.
  app.addHook('preParsing', async (request, reply, payload) => {
    const { caller, proofGiven, routeOptions, method } = request;
    const permission = routeOptions.config.permission ?? permissions.health;
    if (permission.access !== 'here' || !isHere(request)) demand(caller, permission, proofGiven);
    if (caller && (permission.scope === 'path' || permission.scope === 'written')) {
      const { name, instance } = (request.params ?? {}) as { readonly name?: string; readonly instance?: string };
      demandScope(caller, { workload: name, instance });
    }
    if (method !== 'GET' && caller) await tokens.confirm(caller);
    if (routeOptions.url !== routes.publish.url || !request.headers['content-type']?.startsWith(BUNDLE_MEDIA_TYPE))
      bodyDeadline(request, reply);
    return payload;
  });
  /** G3: answers by hand, since nobody else will while the body is waited for. */
  function bodyDeadline(request: FastifyRequest, reply: FastifyReply): void {
    const { raw } = request;
    if (raw.complete) return;
    const late = clock.after(bodyTimeoutMs, () => {
      if (reply.sent || raw.complete) return;
      const fault = new Fault(
        'request-incomplete',
        `the body did not come within ${bodyTimeoutMs / 1000} s (http.bodyTimeout)`,
      );
      reply.hijack();
      const text = JSON.stringify(fault.toProblem(request.id));
      reply.raw.writeHead(fault.row.status, {
        'content-type': 'application/problem+json',
        'content-length': Buffer.byteLength(text),
        'cache-control': 'no-store',
        'x-request-id': request.id,
        connection: 'close',
      });
      reply.raw.end(text, () => raw.destroy());
    });
    const done = () => late.cancel();
    raw.once('end', done).once('close', done);
    reply.raw.once('close', done);
  }
}

/** True for a request of this machine that nobody passed on. */
export const isHere = ({ ip, headers }: Pick<FastifyRequest, 'ip' | 'headers'>): boolean =>
  (ip === '::1' || /^(?:::ffff:)?127\./.test(ip)) &&
  headers['x-forwarded-for'] === undefined &&
  headers['forwarded'] === undefined;
