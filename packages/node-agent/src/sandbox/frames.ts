/**
 * Frames on the socket between the daemon and a cell: a header of 13 bytes and a payload.
 * Layout, big endian: payload length u32 · kind u8 · isolate u32 · mark u32 (its meaning depends on the kind).
 *
 * Promises:
 * R1. A frame comes out whole or not at all, however the bytes were cut on the way.
 * R2. A length above the limit is refused before a byte of it is kept.
 */

const HEADER_BYTES = 13;

export interface Frame {
  readonly kind: number;
  readonly isolate: number;
  readonly mark: number;
  readonly payload: Buffer;
}

/** What cannot be a frame. Whoever sent it is broken or hostile. */
export class MalformedFrame extends Error {
  override readonly name = 'MalformedFrame';
}

/** A frame around the bytes `fill` writes. @param bytes exact length of the payload */
export function frame(
  kind: number,
  isolate: number,
  mark: number,
  bytes: number,
  fill?: (out: Buffer, at: number) => void,
): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  out.writeUInt32BE(bytes, 0);
  out[4] = kind;
  out.writeUInt32BE(isolate, 5);
  out.writeUInt32BE(mark, 9);
  fill?.(out, HEADER_BYTES);
  return out;
}

/** A frame whose payload is text. */
export function textFrame(kind: number, isolate: number, mark: number, text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  return frame(kind, isolate, mark, bytes, (out, at) => out.write(text, at, bytes, 'utf8'));
}

/** Puts frames together from chunks of a stream. */
export class FrameReader {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #held = 0;
  /** Bytes of the frame being awaited, header included; 0 while even the header is incomplete. */
  #wanted = 0;

  /** @param limit largest payload in bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Takes a chunk and hands every frame completed by it to `each`, which must not keep the payload: it is a view.
   * @throws MalformedFrame
   */
  push(chunk: Buffer, each: (frame: Frame) => void): void {
    let rest = chunk;
    if (this.#held > 0) {
      this.#chunks.push(chunk);
      this.#held += chunk.length;
      // Joined only once the awaited frame is complete: a large frame in many chunks is copied once.
      if (this.#wanted > 0 && this.#held < this.#wanted) return;
      if (this.#held < HEADER_BYTES) return;
      rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#held);
      this.#chunks = [];
      this.#held = 0;
      this.#wanted = 0;
    }
    let at = 0;
    while (rest.length - at >= HEADER_BYTES) {
      const length = rest.readUInt32BE(at);
      if (length > this.#limit) throw new MalformedFrame(`payload of ${length} bytes, at most ${this.#limit} allowed`);
      const end = at + HEADER_BYTES + length;
      if (end > rest.length) {
        this.#wanted = HEADER_BYTES + length;
        break;
      }
      each({
        kind: rest[at + 4]!,
        isolate: rest.readUInt32BE(at + 5),
        mark: rest.readUInt32BE(at + 9),
        payload: rest.subarray(at + HEADER_BYTES, end),
      });
      at = end;
    }
    if (at < rest.length) {
      this.#chunks.push(at === 0 ? rest : rest.subarray(at));
      this.#held = rest.length - at;
    }
  }
}
