/**
 * Frames on the socket between the daemon and a cell: a header of 13 bytes and a payload.
 * Layout, big endian: payload length u32 · kind u8 · isolate u32 · mark u32 (its meaning depends on the kind).
 *
 * Promises:
 * R1. A frame comes out whole or not at all, however the bytes were cut on the way.
 * R2. A length above the limit is refused before a byte of it is kept.
 * R3. A chunk is not kept: whoever read it may read the next one into the same memory.
 */

const HEADER_BYTES = 13;

export interface Frame {
  readonly kind: number;
  readonly isolate: number;
  readonly mark: number;
  readonly payload: Buffer;
  /** The memory of the payload is nobody else's: whoever takes the frame may keep it. */
  readonly owned: boolean;
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

/** Room for a frame that is awaited. More is made as its bytes come, so that a length that is only claimed costs next to nothing. */
const FIRST_ROOM = 2 ** 20;

/** Puts frames together from chunks of a stream. */
export class FrameReader {
  readonly #limit: number;
  /** The beginning of a frame that is not whole yet; what is kept is a copy. */
  #kept: Buffer = Buffer.alloc(0);
  #held = 0;

  /** @param limit largest payload in bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Takes a chunk and hands every frame completed by it to `each`, which must not keep a payload it does not own: it is a view. Nor is the chunk kept.
   * @throws MalformedFrame
   */
  push(chunk: Buffer, each: (frame: Frame) => void): void {
    let at = 0;
    while (this.#held > 0) {
      // First the header, then as much as it says: what comes behind the frame is read from the chunk, uncopied.
      const wanted = this.#held < HEADER_BYTES ? HEADER_BYTES : this.#end(this.#kept, 0);
      if (this.#held < wanted) {
        const taken = Math.min(wanted - this.#held, chunk.length - at);
        this.#keep(chunk, at, at + taken, wanted);
        at += taken;
        if (this.#held < wanted) return;
        if (wanted === HEADER_BYTES && this.#end(this.#kept, 0) > HEADER_BYTES) continue;
      }
      const kept = this.#kept.subarray(0, this.#held);
      this.#kept = Buffer.alloc(0);
      this.#held = 0;
      each(frameAt(kept, 0, kept.length, true));
    }
    let end = 0;
    while (chunk.length - at >= HEADER_BYTES) {
      end = this.#end(chunk, at);
      if (end > chunk.length) break;
      each(frameAt(chunk, at, end, false));
      at = end;
    }
    // Of a frame whose header is there the whole is known, of others what has come.
    if (at < chunk.length) this.#keep(chunk, at, chunk.length, Math.max(end, chunk.length) - at);
  }

  /** Where the frame ends that begins there. @throws MalformedFrame (R2) */
  #end(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    if (length > this.#limit) throw new MalformedFrame(`payload of ${length} bytes, at most ${this.#limit} allowed`);
    return at + HEADER_BYTES + length;
  }

  #keep(chunk: Buffer, from: number, to: number, wanted: number): void {
    const held = this.#held + to - from;
    if (held > this.#kept.length) {
      // Twice what there is, so that a large frame is not copied for each of its chunks.
      const room = Math.min(Math.max(wanted, held), Math.max(FIRST_ROOM, 2 * held));
      const larger = Buffer.allocUnsafeSlow(room);
      this.#kept.copy(larger, 0, 0, this.#held);
      this.#kept = larger;
    }
    chunk.copy(this.#kept, this.#held, from, to);
    this.#held = held;
  }
}

const frameAt = (bytes: Buffer, at: number, end: number, owned: boolean): Frame => ({
  kind: bytes[at + 4]!,
  isolate: bytes.readUInt32BE(at + 5),
  mark: bytes.readUInt32BE(at + 9),
  payload: bytes.subarray(at + HEADER_BYTES, end),
  owned,
});
