/**
 * Stands between what a NATS server sends and the client library: takes the messages of chosen subscriptions out, and hands on all else.
 *
 * The library looks at every byte of a control line and makes three objects for a message; most of what a call cost the node was that. And it
 * gives up a connection over what any stranger may have a server send: a bare return in a subject, a header it does not like. Its parser or its
 * reader of headers throws, nothing is read from then on, and nobody is told until the pings stay away.
 * Protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol (MSG, HMSG; the rest is not looked into).
 *
 * Promises:
 * W1. What was taken and what is handed on are together what came, in order, however it was cut on the way (but for W4).
 * W2. A message is taken whole, and only if its subscription was chosen when its end came.
 * W3. What no server sends is handed on, and all that follows: to judge it is the library's.
 * W4. What the library would give up over is made readable first, in place and no longer or shorter: a return in a subject becomes a delete
 *     (which no subject of ours has), what a header's name may not have a dash, a line's end within its value a space.
 * W5. What was taken is not written to again: what is put together of several chunks has memory of its own.
 */

/**
 * A message of a chosen subscription. It lies in `bytes`, which whoever is told of it must not write to, and may keep (W5): with it goes what else
 * lies there, one chunk of the stream at the most.
 * @param reply subject for the answer; empty: none is wanted
 * @param head where its headers begin, with their first line; without headers the same as `data`
 * @param data where its payload begins
 * @param end where that ends
 */
export type Take = (reply: string, bytes: Buffer, head: number, data: number, end: number) => void;

const [CR, LF, SPACE, COLON, DASH, DELETE] = [13, 10, 32, 58, 45, 127];
const [M, H, S, G] = [77, 72, 83, 71];
const [ZERO, NINE] = [48, 57];
const NONE: Buffer = Buffer.alloc(0);
/** Longest beginning of a control line that is waited for, bytes; a server's own limit is 4096. */
const LONGEST_LINE = 64 * 2 ** 10;
/** Largest message that is waited for; the server's `max_payload` is at most this. */
const LARGEST = 64 * 2 ** 20;
/** Room made for a message whose end has not come yet, at first: a length that is only claimed costs next to nothing. */
const FIRST_ROOM = 2 ** 20;

export class WireSplit {
  readonly #takers: ReadonlyMap<number, Take>;
  /** The beginning of an operation that is waited for; its first `#held` bytes have come. */
  #kept: Buffer = NONE;
  #held = 0;
  /** As much of it as is waited for; 0 while its control line is not whole. */
  #whole = 0;
  /** Bytes of a message under way that is not ours. */
  #passing = 0;
  /** In the middle of a line that is not ours. */
  #inLine = false;
  #off = false;
  #taken = 0;

  // What `#control` found.
  #sid = 0;
  #reply = '';
  #headBytes = 0;
  #bytes = 0;
  /** Where the message begins: behind its control line. */
  #from = 0;

  /** @param takers by the number of the subscription; may change at any time */
  constructor(takers: ReadonlyMap<number, Take>) {
    this.#takers = takers;
  }

  /** Messages taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /** What of a chunk is not taken, in order. The chunk may be kept by whoever takes these; it must not be written to. */
  *split(chunk: Buffer): Generator<Buffer, void, void> {
    let bytes = chunk;
    let at = 0;
    if (this.#held > 0) {
      if (this.#whole === 0) {
        // A control line was cut: short, so a copy of both is cheaper than to think of both.
        bytes = Buffer.concat([this.#kept.subarray(0, this.#held), chunk]);
        this.#drop();
      } else {
        at = Math.min(this.#whole - this.#held, chunk.length);
        this.#keep(chunk, 0, at);
        if (this.#held < this.#whole) return;
        const part = this.#kept.subarray(0, this.#whole);
        this.#drop();
        this.#control(part, 0);
        this.#passing = this.#from + this.#bytes + 2 - part.length;
        if (this.#passing > 0 || !this.#take(part)) {
          this.#mend(part);
          yield part;
        }
      }
    }
    /** From here on nothing was handed on yet. */
    let passed = at;
    while (at < bytes.length) {
      if (this.#off) {
        at = bytes.length;
        break;
      }
      if (this.#passing > 0) {
        const part = Math.min(this.#passing, bytes.length - at);
        this.#passing -= part;
        at += part;
        continue;
      }
      const first = bytes[at];
      if (this.#inLine || (first !== M && first !== H)) {
        const end = bytes.indexOf(LF, at);
        this.#inLine = end < 0;
        at = end < 0 ? bytes.length : end + 1;
        continue;
      }
      const line = this.#control(bytes, at);
      if (line === 'cut') {
        if (passed < at) yield bytes.subarray(passed, at);
        this.#keep(bytes, at, bytes.length);
        return;
      }
      if (line === 'bad') {
        this.#off = true;
        continue;
      }
      const end = this.#from + this.#bytes + 2;
      // Of what is not ours nothing is waited for but its headers.
      const wanted = this.#takers.has(this.#sid) ? end : this.#from + this.#headBytes;
      if (wanted < end && wanted <= bytes.length) {
        this.#mend(bytes);
        this.#passing = end - at;
        continue;
      }
      if (passed < at) yield bytes.subarray(passed, at);
      if (wanted > bytes.length) {
        this.#whole = wanted - at;
        this.#keep(bytes, at, bytes.length);
        return;
      }
      passed = this.#take(bytes) ? end : at;
      if (passed === at) this.#mend(bytes);
      at = end;
    }
    if (passed < at) yield bytes.subarray(passed, at);
  }

  /** Hands the message `#control` found to whoever chose it. @returns false when nobody does any more, or it has no end */
  #take(bytes: Buffer): boolean {
    const take = this.#takers.get(this.#sid);
    const end = this.#from + this.#bytes;
    if (bytes[end] !== CR || bytes[end + 1] !== LF) this.#off = true;
    if (take === undefined || this.#off) return false;
    this.#taken++;
    take(this.#reply, bytes, this.#from, this.#from + this.#headBytes, end);
    return true;
  }

  /** Reads `MSG subject sid [reply] bytes` or `HMSG subject sid [reply] header-bytes bytes`, into the fields. */
  #control(bytes: Buffer, at: number): 'read' | 'cut' | 'bad' {
    const length = bytes.length;
    const headed = bytes[at] === H;
    const name = headed ? at + 1 : at;
    if (length < name + 4) return 'cut';
    if (bytes[name] !== M || bytes[name + 1] !== S || bytes[name + 2] !== G || bytes[name + 3] !== SPACE) return 'bad';
    // Where the arguments begin, at most five, and where the last ends. Subjects are whatever their owners call them: only a space is between.
    let count = 1;
    let [second, third, fourth, fifth] = [0, 0, 0, 0];
    let i = name + 4;
    let all = 0;
    let returns = 0;
    for (; i < length; i++) {
      const byte = bytes[i]!;
      if (byte === LF) break;
      all |= byte;
      if (byte === CR) returns++;
      if (byte !== SPACE) continue;
      count++;
      if (count === 2) second = i + 1;
      else if (count === 3) third = i + 1;
      else if (count === 4) fourth = i + 1;
      else if (count === 5) fifth = i + 1;
      else return 'bad';
    }
    if (i === length) return i - at > LONGEST_LINE ? 'bad' : 'cut';
    if (bytes[--i] !== CR) return 'bad';
    const replied = count === (headed ? 5 : 4);
    if (!replied && count !== (headed ? 4 : 3)) return 'bad';
    const numbers = replied ? fourth : third;
    this.#sid = whole(bytes, second, third - 1);
    this.#reply = replied ? bytes.toString(all < 0x80 ? 'latin1' : 'utf8', third, fourth - 1) : '';
    const sizes = headed ? (replied ? fifth : fourth) : i + 1;
    this.#bytes = headed ? whole(bytes, sizes, i) : whole(bytes, numbers, i);
    this.#headBytes = headed ? whole(bytes, numbers, sizes - 1) : 0;
    this.#from = i + 2;
    const good = this.#sid >= 0 && this.#headBytes >= 0 && this.#headBytes <= this.#bytes && this.#bytes <= LARGEST;
    if (!good) return 'bad';
    if (returns > 1) {
      for (let k = name; k < i; k++) if (bytes[k] === CR) bytes[k] = DELETE;
      this.#reply = this.#reply.replaceAll('\r', '\u007f');
    }
    return 'read';
  }

  /** Makes the headers `#control` found readable (W4). The library's rules: `canonicalMIMEHeaderKey` and `MsgHdrsImpl.append` of nats-core. */
  #mend(bytes: Buffer): void {
    if (this.#headBytes === 0) return;
    const end = this.#from + this.#headBytes;
    // The first line is the version and maybe a status, which is read whatever it is.
    let at = lineEnd(bytes, this.#from, end) + 2;
    while (at < end) {
      const next = lineEnd(bytes, at, end);
      const colon = bytes.indexOf(COLON, at);
      // A line without a name is passed over.
      if (colon >= 0 && colon < next) {
        for (let i = at; i < colon; i++) if (bytes[i]! <= SPACE || bytes[i]! >= DELETE) bytes[i] = DASH;
        for (let i = colon + 1; i < next; i++) if (bytes[i] === CR || bytes[i] === LF) bytes[i] = SPACE;
      }
      at = next + 2;
    }
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    const held = this.#held + to - from;
    if (held > this.#kept.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(Math.max(this.#whole, held), Math.max(FIRST_ROOM, 2 * held)));
      this.#kept.copy(larger, 0, 0, this.#held);
      this.#kept = larger;
    }
    bytes.copy(this.#kept, this.#held, from, to);
    this.#held = held;
  }

  #drop(): void {
    this.#kept = NONE;
    this.#held = 0;
    this.#whole = 0;
  }
}

/** The digits there as a number; -1 when it is not that, or far too large. */
function whole(bytes: Buffer, from: number, to: number): number {
  if (to <= from || to - from > 15) return -1;
  let value = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    if (byte < ZERO || byte > NINE) return -1;
    value = value * 10 + byte - ZERO;
  }
  return value;
}

/** Where the line ends that begins there, by a return and a line feed; else `to`. */
function lineEnd(bytes: Buffer, from: number, to: number): number {
  for (let at = from; ; at++) {
    at = bytes.indexOf(CR, at);
    if (at < 0 || at + 1 >= to) return to;
    if (bytes[at + 1] === LF) return at;
  }
}
