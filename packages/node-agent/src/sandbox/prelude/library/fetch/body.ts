/** Bodies of requests and responses: bytes in memory or a stream of the guest's, used once. */
import { loaded, part } from '../given.ts';
import { Blob, blobBytes, concat, copied, streamOf } from './blob.ts';
import { FormData, readForm, writeForm } from './form.ts';
import type { Headers } from './headers.ts';

export interface Held {
  /** Undefined once a stream stands for them, or from the start. */
  bytes: Uint8Array | undefined;
  stream: ReadableStream<Uint8Array> | undefined;
  used: boolean;
}

const isStream = (value: unknown): value is ReadableStream<Uint8Array> => {
  const streams = loaded('streams');
  return streams !== undefined && value instanceof streams.ReadableStream;
};
/** The polyfill keeps it in the open. */
const disturbed = (stream: ReadableStream): boolean => (stream as unknown as { readonly _disturbed: boolean })._disturbed;

/** What a body may be made of, and the content type that comes with it. */
export function extract(init: unknown): { readonly held: Held; readonly type: string | undefined } {
  const of = (bytes: Uint8Array, type?: string) => ({ held: { bytes, stream: undefined, used: false }, type });
  if (isStream(init)) {
    if (init.locked || disturbed(init)) throw new TypeError('body: the stream is locked or has been read from');
    return { held: { bytes: undefined, stream: init, used: false }, type: undefined };
  }
  if (init instanceof Blob) return of(blobBytes(init), init.type === '' ? undefined : init.type);
  if (init instanceof ArrayBuffer || ArrayBuffer.isView(init)) return of(copied(init));
  if (init instanceof FormData) {
    const { bytes, type } = writeForm(init);
    return of(bytes, type);
  }
  const { utf8 } = part('encoding') as { utf8: (text: string) => Uint8Array };
  const url = loaded('url');
  if (url !== undefined && init instanceof url.URLSearchParams)
    return of(utf8(String(init)), 'application/x-www-form-urlencoded;charset=UTF-8');
  return of(utf8(String(init)), 'text/plain;charset=UTF-8');
}

async function readAll(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const reader = stream.getReader();
  const pieces: Uint8Array[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concat(pieces);
    if (!(value instanceof Uint8Array)) throw new TypeError('body: expected a stream of Uint8Array');
    pieces.push(value);
  }
}

const isUsed = (held: Held): boolean => held.used || (held.stream !== undefined && disturbed(held.stream));

/** All bytes; the body is used up. */
async function consume(held: Held | undefined): Promise<Uint8Array> {
  if (held === undefined) return new Uint8Array(0);
  if (isUsed(held) || held.stream?.locked) throw new TypeError('body: it has been read');
  held.used = true;
  return held.stream === undefined ? held.bytes! : readAll(held.stream);
}

let heldOf: (body: Body) => Held | undefined;
/** Bytes of a request that is about to be sent. */
export const takeBody = (body: Body): Promise<Uint8Array> => consume(heldOf(body));
export const hasBody = (body: Body): boolean => heldOf(body) !== undefined;
/** For a Request made of another: the body goes over. */
export function passBody(body: Body): Held | undefined {
  const held = heldOf(body);
  if (held === undefined) return undefined;
  if (isUsed(held) || held.stream?.locked) throw new TypeError('body: it has been read');
  const passed = { ...held };
  held.used = true;
  return passed;
}
/** For clone(): both may be read. */
export function shareBody(body: Body): Held | undefined {
  const held = heldOf(body);
  if (held === undefined) return undefined;
  if (isUsed(held) || held.stream?.locked) throw new TypeError('clone: the body has been read');
  if (held.stream === undefined) return { ...held };
  const [one, other] = held.stream.tee();
  held.stream = one as ReadableStream<Uint8Array>;
  return { bytes: undefined, stream: other as ReadableStream<Uint8Array>, used: false };
}

export abstract class Body {
  static {
    heldOf = (body) => body.#held;
  }
  readonly #held: Held | undefined;
  abstract get headers(): Headers;

  constructor(held: Held | undefined) {
    this.#held = held;
  }
  get body(): ReadableStream<Uint8Array> | null {
    const held = this.#held;
    if (held === undefined) return null;
    if (held.stream === undefined) {
      held.stream = streamOf(held.used ? new Uint8Array(0) : held.bytes!);
      if (held.used) void held.stream.cancel();
      held.bytes = undefined;
    }
    return held.stream;
  }
  get bodyUsed(): boolean {
    return this.#held !== undefined && isUsed(this.#held);
  }
  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await consume(this.#held)).slice().buffer as ArrayBuffer;
  }
  async bytes(): Promise<Uint8Array> {
    return (await consume(this.#held)).slice();
  }
  async blob(): Promise<Blob> {
    const bytes = await consume(this.#held);
    return new Blob([bytes], { type: this.headers.get('content-type') ?? '' });
  }
  async text(): Promise<string> {
    const bytes = await consume(this.#held);
    const { TextDecoder } = part('encoding');
    return new TextDecoder().decode(bytes);
  }
  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }
  async formData(): Promise<FormData> {
    const type = this.headers.get('content-type') ?? '';
    const bytes = await consume(this.#held);
    const boundary = /^multipart\/form-data\b.*;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(type);
    if (boundary) return readForm(bytes, (boundary[1] ?? boundary[2])!);
    if (!/^application\/x-www-form-urlencoded\b/i.test(type)) throw new TypeError(`formData: the content type is "${type}"`);
    const form = new FormData();
    const { URLSearchParams } = part('url');
    for (const [name, value] of new URLSearchParams(part('encoding').utf8Text(bytes))) form.append(name, value);
    return form;
  }
}
