/** Blob and File: bytes in memory that do not change. */
import { part } from '../given.ts';

/** The bytes of a Blob, without a copy; not for guests. */
let bytesOf: (blob: Blob) => Uint8Array;
export const blobBytes = (blob: Blob): Uint8Array => bytesOf(blob);

const plainType = (type: unknown): string => (/[^\x20-\x7e]/.test(String(type)) ? '' : String(type).toLowerCase());

export class Blob {
  static {
    bytesOf = (blob) => blob.#bytes;
  }
  #bytes: Uint8Array;
  readonly #type: string;

  // By defaults, so that its length is 0, as the standard has it.
  constructor(parts: unknown = undefined, options: unknown = undefined) {
    if (options !== undefined && options !== null && typeof options !== 'object' && typeof options !== 'function')
      throw new TypeError('Blob: options: expected an object');
    const { type = '', endings = 'transparent' } = (options ?? {}) as { type?: unknown; endings?: unknown };
    if (endings !== 'transparent' && endings !== 'native')
      throw new TypeError('Blob: endings: expected "transparent" or "native"');
    this.#type = plainType(type);
    this.#bytes = parts === undefined ? new Uint8Array(0) : joined(parts, endings === 'native');
  }
  get size(): number {
    return this.#bytes.length;
  }
  get type(): string {
    return this.#type;
  }
  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#bytes.slice().buffer as ArrayBuffer;
  }
  async bytes(): Promise<Uint8Array> {
    return this.#bytes.slice();
  }
  async text(): Promise<string> {
    const { TextDecoder } = part('encoding');
    return new TextDecoder().decode(this.#bytes);
  }
  slice(start: unknown = 0, end: unknown = this.size, type: unknown = ''): Blob {
    const at = (value: unknown): number => {
      const whole = Math.trunc(Number(value)) || 0;
      return whole < 0 ? Math.max(this.size + whole, 0) : Math.min(whole, this.size);
    };
    const from = at(start);
    const blob = new Blob([], { type });
    blob.#bytes = this.#bytes.subarray(from, Math.max(from, at(end)));
    return blob;
  }
  stream(): ReadableStream<Uint8Array> {
    return streamOf(this.#bytes);
  }
}

export class File extends Blob {
  readonly #name: string;
  readonly #lastModified: number;

  constructor(...args: [parts: unknown, name: unknown, options?: unknown]) {
    if (args.length < 2) throw new TypeError(`File: expected 2 arguments, found ${args.length}`);
    const [parts, name, options] = args;
    super(parts, options);
    this.#name = String(name).toWellFormed();
    const { lastModified } = (options ?? {}) as { lastModified?: unknown };
    this.#lastModified = lastModified === undefined ? Date.now() : Math.trunc(Number(lastModified)) || 0;
  }
  get name(): string {
    return this.#name;
  }
  get lastModified(): number {
    return this.#lastModified;
  }
  get webkitRelativePath(): string {
    return '';
  }
}

const PIECE = 65_536;

/** A byte stream of what is in memory. */
export function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  const { ReadableStream } = part('streams') as { ReadableStream: typeof globalThis.ReadableStream };
  let at = 0;
  return new ReadableStream({
    type: 'bytes',
    pull(controller) {
      if (at < bytes.length) {
        // A copy: a reader may take the buffer away.
        controller.enqueue(bytes.slice(at, at + PIECE));
        at += PIECE;
      }
      if (at >= bytes.length) {
        controller.close();
        controller.byobRequest?.respond(0);
      }
    },
  }) as ReadableStream<Uint8Array>;
}

/** Bytes of a buffer or view, as they are now. */
export const copied = (value: ArrayBuffer | ArrayBufferView): Uint8Array =>
  ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice()
    : new Uint8Array(value).slice();

function joined(parts: unknown, native: boolean): Uint8Array {
  const iterate = (parts as Partial<Iterable<unknown>> | null)?.[Symbol.iterator];
  if (typeof parts !== 'object' || typeof iterate !== 'function') throw new TypeError('Blob: expected a sequence of parts');
  const pieces: Uint8Array[] = [];
  for (const piece of parts as Iterable<unknown>) {
    if (piece instanceof Blob) pieces.push(blobBytes(piece));
    else if (piece instanceof ArrayBuffer || ArrayBuffer.isView(piece)) pieces.push(copied(piece));
    else {
      const text = String(piece);
      pieces.push(part('encoding').utf8(native ? text.replace(/\r\n?/g, '\n') : text));
    }
  }
  return concat(pieces);
}

export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
