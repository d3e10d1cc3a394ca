/** Request of the fetch standard. Of its modes and caches there is nothing here: they are kept as they were given. */
import { part } from '../given.ts';
import { Body, extract, type Held, hasBody, passBody, shareBody } from './body.ts';
import { Headers } from './headers.ts';

const USUAL = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT']);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  mode: ['cors', 'no-cors', 'same-origin'],
  credentials: ['same-origin', 'omit', 'include'],
  cache: ['default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'],
  redirect: ['follow', 'error', 'manual'],
};

function methodOf(given: unknown): string {
  const method = String(given);
  const upper = method.toUpperCase();
  if (!TOKEN.test(method) || upper === 'CONNECT' || upper === 'TRACE' || upper === 'TRACK')
    throw new TypeError(`Request: method ${JSON.stringify(method.slice(0, 40))} cannot be used`);
  return USUAL.has(upper) ? upper : method;
}

export class Request extends Body {
  readonly #url: string;
  readonly #method: string;
  readonly #headers: Headers;
  readonly #signal: AbortSignal;
  readonly #rest: Record<string, unknown>;

  constructor(input: unknown, init: unknown = {}) {
    const options = (init ?? {}) as Record<string, unknown>;
    const from = input instanceof Request ? input : undefined;
    const url = from ? from.#url : urlOf(input);
    const method = options['method'] === undefined ? (from?.method ?? 'GET') : methodOf(options['method']);
    const headers = new Headers(options['headers'] === undefined ? from?.headers : options['headers']);
    const { body = null } = options;
    const bare = method === 'GET' || method === 'HEAD';
    if (bare && (body !== null || (from && hasBody(from)))) throw new TypeError(`Request: ${method} has no body`);
    const given = body === null ? undefined : extract(body);
    if (given?.held.stream !== undefined && options['duplex'] !== 'half')
      throw new TypeError('Request: a stream as the body needs duplex: "half"');
    let held: Held | undefined = given?.held;
    if (given === undefined && from) held = passBody(from);
    super(held);
    if (given?.type !== undefined && !headers.has('content-type')) headers.append('content-type', given.type);
    const rest: Record<string, unknown> = from === undefined ? {} : { ...from.#rest };
    for (const name of Object.keys(CHOICES)) {
      const value = options[name];
      if (value === undefined) continue;
      if (!CHOICES[name]!.includes(String(value))) throw new TypeError(`Request: ${name}: ${String(value)} is not known`);
      rest[name] = String(value);
    }
    for (const name of ['integrity', 'referrerPolicy']) if (options[name] !== undefined) rest[name] = String(options[name]);
    if (options['keepalive'] !== undefined) rest['keepalive'] = Boolean(options['keepalive']);
    const { signal = from?.signal } = options as { signal?: AbortSignal | null };
    this.#url = url;
    this.#method = method;
    this.#headers = headers;
    const { AbortSignal: Signal } = part('events') as { AbortSignal: typeof globalThis.AbortSignal };
    if (signal !== undefined && signal !== null && !(signal instanceof Signal))
      throw new TypeError('Request: signal: expected an AbortSignal');
    this.#signal = Signal.any(signal ? [signal] : []);
    this.#rest = rest;
  }
  get method(): string {
    return this.#method;
  }
  get url(): string {
    return this.#url;
  }
  get headers(): Headers {
    return this.#headers;
  }
  get signal(): AbortSignal {
    return this.#signal;
  }
  get redirect(): string {
    return (this.#rest['redirect'] as string) ?? 'follow';
  }
  get mode(): string {
    return (this.#rest['mode'] as string) ?? 'cors';
  }
  get credentials(): string {
    return (this.#rest['credentials'] as string) ?? 'same-origin';
  }
  get cache(): string {
    return (this.#rest['cache'] as string) ?? 'default';
  }
  get integrity(): string {
    return (this.#rest['integrity'] as string) ?? '';
  }
  get keepalive(): boolean {
    return (this.#rest['keepalive'] as boolean) ?? false;
  }
  get referrer(): string {
    return 'about:client';
  }
  get referrerPolicy(): string {
    return (this.#rest['referrerPolicy'] as string) ?? '';
  }
  get destination(): string {
    return '';
  }
  get duplex(): string {
    return 'half';
  }
  clone(): Request {
    const held = shareBody(this);
    const copy = new Request(this.#url, { method: this.#method, headers: this.#headers, signal: this.#signal, ...this.#rest });
    return held === undefined ? copy : withBody(copy, held);
  }
}

/** A request like `copy` with this body: the constructor takes bodies only in their public forms. */
function withBody(copy: Request, held: Held): Request {
  const body = held.stream ?? held.bytes;
  return new Request(copy, { body, duplex: 'half', headers: copy.headers });
}

function urlOf(input: unknown): string {
  const { URL } = part('url');
  let url: globalThis.URL;
  try {
    url = new URL(String(input));
  } catch {
    throw new TypeError(`Request: ${JSON.stringify(String(input).slice(0, 200))} is not an absolute URL`);
  }
  if (url.username !== '' || url.password !== '')
    throw new TypeError('Request: a URL with credentials; use the header Authorization');
  return url.href;
}
