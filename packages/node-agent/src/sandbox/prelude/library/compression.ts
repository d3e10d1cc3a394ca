/** CompressionStream and DecompressionStream over fflate. */
import { Deflate, Gunzip, Gzip, Inflate, Unzlib, Zlib } from 'fflate';
import { part, tag } from './given.ts';

type Format = 'gzip' | 'deflate' | 'deflate-raw';
interface Machine {
  ondata?: ((chunk: Uint8Array, last: boolean) => void) | undefined;
  push(chunk: Uint8Array, last?: boolean): void;
}
const PACK: Record<Format, () => Machine> = {
  gzip: () => new Gzip() as Machine,
  deflate: () => new Zlib() as Machine,
  'deflate-raw': () => new Deflate() as Machine,
};
const UNPACK: Record<Format, () => Machine> = {
  gzip: () => new Gunzip() as Machine,
  deflate: () => new Unzlib() as Machine,
  'deflate-raw': () => new Inflate() as Machine,
};

const bytesOf = (chunk: unknown): Uint8Array => {
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  throw new TypeError('expected a chunk that is a BufferSource');
};

function machineStream(name: string, machines: Record<Format, () => Machine>, format: unknown, strict: boolean) {
  const known = String(format);
  if (!Object.hasOwn(machines, known)) throw new TypeError(`${name}: unknown format ${JSON.stringify(known)}`);
  const machine = machines[known as Format]();
  let ended = false;
  let fed = false;
  let out: { enqueue(chunk: Uint8Array): void };
  machine.ondata = (chunk, last) => {
    ended ||= last;
    // The library goes on using its buffer.
    if (chunk.length > 0) out.enqueue(chunk.slice());
  };
  const push = (chunk: Uint8Array, last: boolean) => {
    try {
      machine.push(chunk, last);
    } catch (error) {
      throw new TypeError(`${name}: ${(error as Error).message}`);
    }
  };
  const { TransformStream } = part('streams') as { TransformStream: typeof globalThis.TransformStream };
  return new TransformStream({
    transform(chunk: unknown, controller: { enqueue(chunk: Uint8Array): void }) {
      out = controller;
      const bytes = bytesOf(chunk);
      if (bytes.length === 0) return;
      if (strict && ended) throw new TypeError(`${name}: data after the end`);
      fed = true;
      push(bytes.slice(), false);
    },
    flush(controller: { enqueue(chunk: Uint8Array): void }) {
      out = controller;
      if (strict && !fed) throw new TypeError(`${name}: no data`);
      push(new Uint8Array(0), true);
    },
  } as never);
}

class CompressionStream {
  readonly #stream: TransformStream;
  constructor(format: unknown) {
    this.#stream = machineStream('CompressionStream', PACK, format, false);
  }
  get readable() {
    return this.#stream.readable;
  }
  get writable() {
    return this.#stream.writable;
  }
}
class DecompressionStream {
  readonly #stream: TransformStream;
  constructor(format: unknown) {
    this.#stream = machineStream('DecompressionStream', UNPACK, format, true);
  }
  get readable() {
    return this.#stream.readable;
  }
  get writable() {
    return this.#stream.writable;
  }
}
tag({ CompressionStream, DecompressionStream });

export { CompressionStream, DecompressionStream };
