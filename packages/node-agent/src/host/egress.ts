/**
 * What a guest's `fetch` may reach: the daemon makes the request, within `grants.http` of the manifest. Of the guest comes data, and
 * data goes back.
 *
 * Promises:
 * E1. Every hop, the first and each redirect, is checked anew: scheme, host, port, method, path, and the addresses the name has.
 * E2. A name is looked up once a hop; all its addresses must be allowed, and the connection goes to one of those (no second look-up that
 *     could answer otherwise). Private ones need `private: true`; link-local, metadata, multicast and reserved ones are never reached.
 * E3. Bounds hold for the whole exchange: time, bytes of request and answer, requests a second and at a time.
 * E4. The guest sets no header that frames a message, names its host or speaks to a proxy; credentials do not follow a redirect to
 *     another origin.
 */
import { lookup as systemLookup } from 'node:dns/promises';
import { Agent as PlainAgent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { isIP } from 'node:net';
import { bytesOf, type Clock, decode, Fault, type HttpGrant, msOf } from '@cim/contracts';
import { z } from 'zod';
import { reachOf } from './egress-address.ts';
import { exchange, type Header, type Reply } from './egress-exchange.ts';
import { createRate } from './rate.ts';

/** Addresses of a name, all of them. */
export type Lookup = (name: string) => Promise<readonly string[]>;

export interface EgressOptions {
  readonly grants: readonly HttpGrant[];
  readonly clock: Clock;
  /** Default: the system's resolver. */
  readonly lookup?: Lookup;
  /** Certificates to trust besides the system's, PEM. */
  readonly ca?: string;
  /** Requests at a time. Default 8. */
  readonly concurrent?: number;
  /** Requests a second, with as many again at once. Default 50. */
  readonly perSecond?: number;
}

export interface Egress {
  /** @param asked what the guest sent @returns what `fetch` makes a Response of @throws Fault */
  send(asked: unknown): Promise<EgressAnswer>;
  /** Lets go of idle connections. */
  close(): void;
}

export interface EgressAnswer {
  readonly url: string;
  readonly redirected: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly Header[];
  /** Base64. */
  readonly body: string;
}

const LARGEST_REQUEST = 700_000;
const Asked = z.strictObject({
  url: z.string().max(8192),
  method: z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,20}$/, 'expected a method'),
  headers: z.array(z.tuple([z.string().max(200), z.string().max(16_384)])).max(100),
  redirect: z.enum(['follow', 'error', 'manual']),
  body: z
    .string()
    .max(LARGEST_REQUEST * 1.4)
    .regex(/^[A-Za-z0-9+/]*={0,2}$/, 'expected base64')
    .optional(),
});

const MOST_HOPS = 10;
const DEFAULTS = { timeoutMs: 10_000, maxBytes: 2 ** 20, methods: ['GET', 'HEAD'] } as const;
const MOST = { timeoutMs: 60_000, maxBytes: 16 * 2 ** 20 } as const;
const HEADER_BYTES = 16_384;
const IDLE_MS = 4_000;

/** What frames a message, names its host, or speaks to what is in between: the daemon's to say (E4). */
const OWN_HEADERS = new Set(
  'connection content-length expect host keep-alive te trailer transfer-encoding upgrade via http2-settings accept-encoding'.split(
    ' ',
  ),
);
const isOwn = (name: string): boolean => OWN_HEADERS.has(name) || /^(?:proxy-|sec-|:)/.test(name);
const CREDENTIALS = new Set(['authorization', 'cookie', 'proxy-authorization']);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

const everyAddress: Lookup = async (name) =>
  (await systemLookup(name, { all: true, verbatim: true })).map(({ address }) => address);

export function createEgress(options: EgressOptions): Egress {
  const { grants, clock, lookup = everyAddress, ca, concurrent = 8, perSecond = 50 } = options;
  const rate = createRate(clock, perSecond, perSecond * 2);
  const keep = { keepAlive: true, maxSockets: concurrent, maxFreeSockets: 2, timeout: IDLE_MS };
  /** Made at the first request: most workloads make none. */
  let agents: Readonly<Record<'http:' | 'https:', PlainAgent>> | undefined;
  const agentOf = (protocol: string): PlainAgent => {
    agents ??= { 'http:': new PlainAgent(keep), 'https:': new TlsAgent({ ...keep, ...(ca === undefined ? {} : { ca }) }) };
    return agents[protocol as 'http:' | 'https:'];
  };
  let underWay = 0;

  async function follow(asked: z.output<typeof Asked>): Promise<EgressAnswer> {
    const deadline = new AbortController();
    let { method } = asked;
    let body = asked.body === undefined ? undefined : Buffer.from(asked.body, 'base64');
    let headers = headersOf(asked.headers);
    let url = urlOf(asked.url);
    let timer: { cancel(): void } | undefined;
    const began = clock.monotonic();
    try {
      for (let hop = 0; hop <= MOST_HOPS; hop += 1) {
        const grant = granted(url, method);
        const timeoutMs = Math.min(grant.timeout === undefined ? DEFAULTS.timeoutMs : msOf(grant.timeout), MOST.timeoutMs);
        timer?.cancel();
        timer = clock.after(Math.max(1, timeoutMs - (clock.monotonic() - began)), () =>
          deadline.abort(
            new Fault('deadline-exceeded', `fetch ${url.host}: no answer within ${timeoutMs} ms (grants.http timeout)`),
          ),
        );
        const { signal } = deadline;
        const addresses = await withSignal(addressesOf(url, grant), signal);
        const maxBytes = Math.min(grant.maxBytes === undefined ? DEFAULTS.maxBytes : bytesOf(grant.maxBytes), MOST.maxBytes);
        const agent = agentOf(url.protocol);
        const reply = await exchange({ url, method, headers: withOwn(headers, url), body, addresses, maxBytes, agent, signal });
        const location = REDIRECTS.has(reply.status) ? reply.headers.find(([name]) => name === 'location')?.[1] : undefined;
        if (location === undefined || asked.redirect === 'manual') return answerOf(url, hop > 0, reply);
        if (asked.redirect === 'error')
          throw new Fault('egress-failed', `fetch ${url.host}: redirected, and redirect is "error"`);
        const next = urlOf(location, url);
        const drops = (reply.status === 303 && method !== 'HEAD') || (reply.status < 303 && method === 'POST');
        if (drops) {
          method = 'GET';
          body = undefined;
          headers = headers.filter(([name]) => !name.startsWith('content-'));
        }
        if (next.origin !== url.origin) headers = headers.filter(([name]) => !CREDENTIALS.has(name));
        url = next;
      }
      throw new Fault('egress-failed', `fetch ${url.host}: more than ${MOST_HOPS} redirects`);
    } finally {
      timer?.cancel();
    }
  }

  function granted(url: URL, method: string): HttpGrant {
    const ofHost = grants.filter((grant) => grant.host === url.hostname);
    const port = (grant: HttpGrant) => grant.port ?? ((grant.scheme ?? 'https') === 'https' ? 443 : 80);
    const ofPlace = ofHost.filter((grant) => `${grant.scheme ?? 'https'}:` === url.protocol && port(grant) === portOf(url));
    if (ofPlace.length === 0) throw new Fault('grant-refused', `fetch: ${url.origin} is not in grants.http`);
    const ofMethod = ofPlace.filter(({ methods = DEFAULTS.methods }) => (methods as readonly string[]).includes(method));
    if (ofMethod.length === 0)
      throw new Fault('grant-refused', `fetch: ${method} is not in grants.http methods of ${url.host}`);
    const found = ofMethod.find(({ paths }) => paths === undefined || paths.some((path) => pathWithin(url.pathname, path)));
    if (!found)
      throw new Fault('grant-refused', `fetch: ${url.pathname.slice(0, 200)} is not in grants.http paths of ${url.host}`);
    return found;
  }

  async function addressesOf(url: URL, grant: HttpGrant): Promise<readonly string[]> {
    const name = url.hostname.replace(/^\[|\]$/g, '');
    let addresses: readonly string[];
    if (isIP(name) !== 0) addresses = [name];
    else
      try {
        addresses = await lookup(name);
      } catch (error) {
        throw new Fault(
          'egress-failed',
          `fetch ${url.host}: the name has no address (${(error as NodeJS.ErrnoException).code ?? 'failed'})`,
        );
      }
    if (addresses.length === 0) throw new Fault('egress-failed', `fetch ${url.host}: the name has no address`);
    for (const address of addresses) {
      const reach = reachOf(address);
      if (reach === 'public' || (reach === 'private' && grant.private === true)) continue;
      throw new Fault(
        'egress-refused',
        `fetch ${url.host}: leads to ${reach === 'never' ? 'a reserved' : 'a private'} address`,
      );
    }
    return addresses;
  }

  return {
    async send(given) {
      const asked = decode(Asked, given, 'fetch');
      if (grants.length === 0) throw new Fault('grant-refused', 'fetch needs grants.http in the definition');
      if (!rate.take()) throw new Fault('rate-limited', `fetch: more than ${perSecond} a second`);
      if (underWay >= concurrent) throw new Fault('overloaded', `fetch: more than ${concurrent} at a time`);
      underWay += 1;
      try {
        return await follow(asked);
      } finally {
        underWay -= 1;
      }
    },
    close() {
      for (const agent of Object.values(agents ?? {})) agent.destroy();
    },
  };
}

const portOf = (url: URL): number => (url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port));

function urlOf(text: string, base?: URL): URL {
  const url = base === undefined ? URL.parse(text) : URL.parse(text, base.href);
  if (url === null) throw new Fault('invalid-input', `fetch: ${JSON.stringify(text.slice(0, 200))} is not a URL`);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new Fault('grant-refused', `fetch: ${url.protocol} is not fetched; expected https: or http:`);
  if (url.username !== '' || url.password !== '') throw new Fault('invalid-input', 'fetch: a URL with credentials');
  url.hash = '';
  return url;
}

/** A path or, ending in "/", all below it. Compared as sent; a server that reads `%2e` or `//` its own way is the server's to guard. */
const pathWithin = (path: string, allowed: string): boolean =>
  path === allowed || (allowed.endsWith('/') && path.startsWith(allowed));

/** @throws Fault naming a header the guest may not set */
function headersOf(given: readonly (readonly [string, string])[]): Header[] {
  let size = 0;
  return given.flatMap(([raw, value]): Header[] => {
    const name = raw.toLowerCase();
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name))
      throw new Fault('invalid-input', `fetch: ${JSON.stringify(raw)} is not a header`);
    // Bytes a line cannot hold would start another.
    if (/[^\t\x20-\x7e\x80-\xff]/.test(value))
      throw new Fault('invalid-input', `fetch: header ${name}: a character it cannot hold`);
    size += name.length + value.length + 4;
    if (size > HEADER_BYTES) throw new Fault('too-large', `fetch: headers of more than ${HEADER_BYTES} bytes`);
    // Both are always the daemon's own, and libraries set them by habit.
    if (name === 'content-length' || name === 'accept-encoding') return [];
    if (isOwn(name)) throw new Fault('grant-refused', `fetch: header ${name} is not a guest's to set`);
    return [[name, value]];
  });
}

const withOwn = (headers: readonly Header[], url: URL): Header[] => {
  const named = new Set(headers.map(([name]) => name));
  const usual: Header[] = [
    ['accept', '*/*'],
    ['user-agent', 'CIM'],
  ];
  return [
    ...usual.filter(([name]) => !named.has(name)),
    ...headers,
    ['host', url.host],
    ['accept-encoding', 'gzip, deflate, br'],
  ];
};

function withSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const stop = () => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  return promise;
}

const answerOf = (url: URL, redirected: boolean, { status, statusText, headers, body }: Reply): EgressAnswer => ({
  url: url.href,
  redirected,
  status,
  statusText,
  headers,
  body: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64'),
});
