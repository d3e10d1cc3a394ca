/** Response of the fetch standard. */
import { part } from '../given.ts';
import { Body, extract, type Held, shareBody } from './body.ts';
import { Headers, lockHeaders } from './headers.ts';

interface Facts {
  readonly type: 'default' | 'error' | 'basic';
  readonly url: string;
  readonly redirected: boolean;
}
const PLAIN: Facts = { type: 'default', url: '', redirected: false };
const NO_BODY = new Set([101, 103, 204, 205, 304]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** How the platform makes one; guests cannot, since the key is never handed out. */
const own = Symbol('made by the platform');
interface Own {
  readonly [own]: true;
  readonly facts: Facts;
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly held: Held | undefined;
}
const isOwn = (value: unknown): value is Own => typeof value === 'object' && value !== null && own in value;

export class Response extends Body {
  readonly #facts: Facts;
  readonly #status: number;
  readonly #statusText: string;
  readonly #headers: Headers;

  constructor(body: unknown = null, init: unknown = {}) {
    if (isOwn(body)) {
      super(body.held);
      this.#facts = body.facts;
      this.#status = body.status;
      this.#statusText = body.statusText;
      this.#headers = body.headers;
      return;
    }
    const { status = 200, statusText = '', headers } = (init ?? {}) as Record<string, unknown>;
    const code = Math.trunc(Number(status)) || 0;
    if (code < 200 || code > 599) throw new RangeError(`Response: status: expected 200 to 599, found ${String(status)}`);
    const phrase = String(statusText);
    if (/[^\t\x20-\x7e\x80-\xff]/.test(phrase)) throw new TypeError('Response: statusText: a character it cannot hold');
    const made = new Headers(headers);
    const given = body === null || body === undefined ? undefined : extract(body);
    if (given && NO_BODY.has(code)) throw new TypeError(`Response: status ${code} has no body`);
    super(given?.held);
    if (given?.type !== undefined && !made.has('content-type')) made.append('content-type', given.type);
    this.#facts = PLAIN;
    this.#status = code;
    this.#statusText = phrase;
    this.#headers = made;
  }
  static error(): Response {
    return madeResponse(
      { facts: { ...PLAIN, type: 'error' }, status: 0, statusText: '', headers: new Headers(), held: undefined },
      true,
    );
  }
  static redirect(url: unknown, status: unknown = 302): Response {
    const { URL } = part('url');
    const to = new URL(String(url)).href as string;
    if (!REDIRECTS.has(Number(status))) throw new RangeError(`Response.redirect: status ${String(status)} is not a redirect`);
    const headers = new Headers({ location: to });
    return madeResponse({ facts: PLAIN, status: Number(status), statusText: '', headers, held: undefined }, true);
  }
  static json(data: unknown, init: unknown = {}): Response {
    const text = JSON.stringify(data);
    if (text === undefined) throw new TypeError('Response.json: this value has no JSON');
    const options = (init ?? {}) as Record<string, unknown>;
    const headers = new Headers(options['headers']);
    if (!headers.has('content-type')) headers.set('content-type', 'application/json');
    return new Response(text, { ...options, headers });
  }
  get type(): string {
    return this.#facts.type;
  }
  get url(): string {
    return this.#facts.url;
  }
  get redirected(): boolean {
    return this.#facts.redirected;
  }
  get status(): number {
    return this.#status;
  }
  get ok(): boolean {
    return this.#status >= 200 && this.#status < 300;
  }
  get statusText(): string {
    return this.#statusText;
  }
  get headers(): Headers {
    return this.#headers;
  }
  clone(): Response {
    const held = shareBody(this);
    const rest = { facts: this.#facts, status: this.#status, statusText: this.#statusText };
    return madeResponse({ ...rest, headers: new Headers(this.#headers), held }, this.#facts.type !== 'default');
  }
}

/** @param locked whether its headers can be changed */
export function madeResponse(what: Omit<Own, typeof own>, locked: boolean): Response {
  if (locked) lockHeaders(what.headers);
  return new Response({ ...what, [own]: true });
}
