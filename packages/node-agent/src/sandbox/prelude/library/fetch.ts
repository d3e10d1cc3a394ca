/**
 * Blob, FormData, Headers, Request, Response and fetch. The request itself is made by the daemon, within `grants.http`; what a guest
 * sends is data, and so is what comes back.
 */

import { Blob, File } from './fetch/blob.ts';
import { hasBody, takeBody } from './fetch/body.ts';
import { FormData } from './fetch/form.ts';
import { Headers } from './fetch/headers.ts';
import { Request } from './fetch/request.ts';
import { madeResponse, Response } from './fetch/response.ts';
import { ask, part, tag } from './given.ts';

/** What the daemon answers. */
interface Answer {
  readonly url: string;
  readonly redirected: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly (readonly [string, string])[];
  /** Base64. */
  readonly body: string;
}

const NO_BODY = new Set([101, 103, 204, 205, 304]);

const fetch = {
  async fetch(input: unknown, init?: unknown): Promise<Response> {
    const request = new Request(input, init);
    const { signal } = request;
    signal.throwIfAborted();
    const { toBase64, fromBase64 } = part('encoding') as {
      toBase64: (bytes: Uint8Array) => string;
      fromBase64: (text: string) => Uint8Array;
    };
    const body = hasBody(request) ? toBase64(await takeBody(request)) : undefined;
    const asked = {
      url: request.url.replace(/#.*$/s, ''),
      method: request.method,
      headers: [...request.headers],
      redirect: request.redirect,
      ...(body === undefined ? {} : { body }),
    };
    const answer = await new Promise<Answer>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      ask('fetch', [asked]).then(resolve, (error: Error & { code?: string; retry?: boolean }) => {
        const failure = new TypeError(`fetch failed: ${error.message}`, { cause: error }) as TypeError & {
          code?: string;
          retry?: boolean;
        };
        if (error.code !== undefined) failure.code = error.code;
        if (error.retry !== undefined) failure.retry = error.retry;
        reject(failure);
      });
    });
    const { status, statusText, url, redirected } = answer;
    const bytes = fromBase64(answer.body);
    const none = NO_BODY.has(status) || request.method === 'HEAD';
    return madeResponse(
      {
        facts: { type: 'basic', url, redirected },
        status,
        statusText,
        headers: new Headers(answer.headers),
        held: none ? undefined : { bytes, stream: undefined, used: false },
      },
      true,
    );
  },
}.fetch;

tag({ Blob, File, FormData, Headers, Request, Response });
for (const made of [Blob, File, FormData, Headers, Request, Response]) {
  // Members of an interface are enumerable; those of a class are not.
  for (const key of Object.getOwnPropertyNames(made.prototype))
    if (key !== 'constructor') Object.defineProperty(made.prototype, key, { enumerable: true });
}
for (const made of [Request, Response])
  for (const key of Object.getOwnPropertyNames(Object.getPrototypeOf(made.prototype)))
    if (key !== 'constructor' && key !== 'headers')
      Object.defineProperty(made.prototype, key, {
        ...Object.getOwnPropertyDescriptor(Object.getPrototypeOf(made.prototype), key)!,
        enumerable: true,
      });

export { Blob, File, FormData, fetch, Headers, Request, Response };
