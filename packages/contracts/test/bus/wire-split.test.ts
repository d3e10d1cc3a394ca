/**
 * Taking messages out of a server's bytes, held against the client library's own parser: what is taken and what is handed on are together
 * what the library would have read, however the bytes were cut.
 */
import { Kind, MsgHdrsImpl, Parser, type ParserEvent } from '@nats-io/transport-node';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WireSplit } from '../../src/bus/wire-split.ts';

interface Said {
  readonly sid: number;
  readonly reply: string;
  readonly head: string;
  readonly data: string;
}

/**
 * Splits bytes that come in chunks of these sizes, in turn. Each chunk has memory of its own. What is taken is read when all has come: it was not
 * written to meanwhile.
 */
function split(bytes: Buffer, cuts: readonly number[], chosen: readonly number[]) {
  const kept: (() => Said)[] = [];
  const takers = new Map(
    chosen.map((sid) => [
      sid,
      (reply: string, all: Buffer, head: number, data: number, end: number) =>
        void kept.push(() => ({
          sid,
          reply,
          head: all.toString('latin1', head, data),
          data: all.toString('latin1', data, end),
        })),
    ]),
  );
  const splitter = new WireSplit(takers);
  const passed: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const chunk = Buffer.from(bytes.subarray(at, at + cuts[i % cuts.length]!));
    passed.push(...splitter.split(chunk));
    at += chunk.length;
  }
  expect(splitter.taken).toBe(kept.length);
  return { taken: kept.map((said) => said()), passed: Buffer.concat(passed), takers, splitter };
}

/** What the library reads. */
function read(bytes: Buffer): (Said | string)[] {
  const seen: (Said | string)[] = [];
  const text = (part: Uint8Array | undefined) => Buffer.from(part ?? []).toString('latin1');
  const name = (part: Uint8Array | undefined) => Buffer.from(part ?? []).toString('utf8');
  const push = (event: ParserEvent) => {
    if (event.kind !== Kind.MSG) return void seen.push(`${event.kind} ${text((event as { data?: Uint8Array }).data)}`);
    const { msg, data } = event as unknown as {
      msg: { sid: number; reply?: Uint8Array; hdr: number };
      data: Uint8Array;
    };
    const from = Math.max(msg.hdr, 0);
    seen.push({ sid: msg.sid, reply: name(msg.reply), head: text(data.subarray(0, from)), data: text(data.subarray(from)) });
  };
  new Parser({ push } as never).parse(bytes);
  return seen;
}

const payload = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text)),
  // What looks like the protocol is none within a message.
  fc.constantFrom('\r\n', 'MSG a 1 3\r\nabc\r\n', 'PING\r\n', '', '\r', '\n').map((text) => Buffer.from(text)),
  fc.integer({ min: 100, max: 3_000 }).map((length) => Buffer.alloc(length, 'x')),
);
const subject = fc.constantFrom('a', 'cim.v1.call.document.process', '_INBOX.M');
const sid = fc.integer({ min: 1, max: 12 });
const inbox = fc.option(fc.constantFrom('_INBOX.a.b', '_R_.x', '_INBOX.jürgen.😀'), { nil: undefined });
const message = fc
  .tuple(subject, sid, inbox, payload)
  .map(([on, id, reply, data]) =>
    Buffer.concat([
      Buffer.from(`MSG ${on} ${id} ${reply === undefined ? '' : `${reply} `}${data.length}\r\n`),
      data,
      Buffer.from('\r\n'),
    ]),
  );
const headed = fc
  .tuple(subject, sid, inbox, payload, fc.constantFrom('', 'A: b\r\n', 'A: b\r\nC:\r\n'))
  .map(([on, id, reply, data, lines]) => {
    const head = Buffer.from(`NATS/1.0\r\n${lines}\r\n`);
    const sizes = `${head.length} ${head.length + data.length}`;
    return Buffer.concat([
      Buffer.from(`HMSG ${on} ${id} ${reply === undefined ? '' : `${reply} `}${sizes}\r\n`),
      head,
      data,
      Buffer.from('\r\n'),
    ]);
  });
const other = fc
  .constantFrom('PING\r\n', 'PONG\r\n', '+OK\r\n', "-ERR 'Permissions Violation'\r\n", 'INFO {"server_id":"MSG a 1 3"}\r\n')
  .map((text) => Buffer.from(text));
const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 6 });

test('any operations, cut anywhere: what is taken and what is handed on are together what the library reads', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 3, arbitrary: message }, { weight: 3, arbitrary: headed }, other), { maxLength: 25 }),
      cuts,
      fc.uniqueArray(sid, { maxLength: 12 }),
      (operations, sizes, chosen) => {
        const bytes = Buffer.concat(operations);
        const { taken, passed } = split(bytes, sizes, chosen);
        const all = read(bytes);
        const ours = (one: Said | string) => typeof one !== 'string' && chosen.includes(one.sid);
        expect(taken).toEqual(all.filter(ours));
        expect(read(passed)).toEqual(all.filter((one) => !ours(one)));
      },
    ),
    { numRuns: 400 },
  );
});

test('nobody chosen: every byte is handed on, whatever it is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), cuts, (noise, sizes) => {
      const bytes = Buffer.concat([Buffer.from('PING\r\nMSG a 1 2\r\nhi\r\n'), noise, Buffer.from('\r\n')]);
      const { passed, splitter } = split(bytes, sizes, []);
      // The beginning of a control line may still be waited for.
      expect(bytes.subarray(0, passed.length)).toEqual(passed);
      expect(bytes.length - passed.length).toBeLessThan(310);
      expect(splitter.taken).toBe(0);
    }),
  );
});

/** Whether the library reads it, and what. */
function library(bytes: Buffer): (Said | string)[] | undefined {
  try {
    const all = read(bytes);
    for (const one of all) if (typeof one !== 'string' && one.head !== '') MsgHdrsImpl.decode(Buffer.from(one.head, 'latin1'));
    return all;
  } catch {
    return undefined;
  }
}

test('whatever stands in subjects and headers, the library reads it afterwards, and finds the same messages', () => {
  const odd = fc.string({
    unit: fc.constantFrom('a', '.', '\r', '\u0001', '\u007f', 'é', '😀', '(', ':'),
    minLength: 1,
    maxLength: 8,
  });
  const head = fc.string({
    unit: fc.constantFrom('A', 'b', ':', ' ', '\r', '\n', '\r\n', '\u0000', '\u007f', 'é', '\t'),
    maxLength: 30,
  });
  const message = fc
    .tuple(odd, sid, fc.option(odd, { nil: undefined }), fc.option(head, { nil: undefined }), payload)
    .map(([on, id, reply, lines, data]) => {
      const block = lines === undefined ? undefined : Buffer.from(`NATS/1.0\r\n${lines}\r\n\r\n`);
      const sizes = block === undefined ? `${data.length}` : `${block.length} ${block.length + data.length}`;
      const line = `${block === undefined ? '' : 'H'}MSG x${on} ${id} ${reply === undefined ? '' : `y${reply} `}${sizes}\r\n`;
      return { bytes: Buffer.concat([Buffer.from(line), block ?? Buffer.alloc(0), data, Buffer.from('\r\n')]), id, data };
    });
  let spared = 0;
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 6 }), cuts, (messages, sizes) => {
      const bytes = Buffer.concat(messages.map((one) => one.bytes));
      if (library(bytes) === undefined) spared++;
      const { passed } = split(bytes, sizes, []);
      expect(passed.length).toBe(bytes.length);
      const all = library(passed);
      expect(all?.map((one) => (typeof one === 'string' ? one : [one.sid, one.data]))).toEqual(
        messages.map(({ id, data }) => [id, data.toString('latin1')]),
      );
      // What the library reads as it came says the same afterwards.
      const heads = (of: Buffer) =>
        library(of)?.map((one) =>
          typeof one === 'string' ? '' : MsgHdrsImpl.decode(Buffer.from(one.head, 'latin1')).toString(),
        );
      if (library(bytes) !== undefined) expect(heads(passed)).toEqual(heads(bytes));
    }),
    { numRuns: 500 },
  );
  expect(spared).toBeGreaterThan(100);
});

describe('what cannot be read is handed on, and all that follows', () => {
  const after = 'MSG a 1 2\r\nhi\r\n';
  test.each([
    ['no number for its subscription', 'MSG a x 2\r\nhi\r\n'],
    ['a negative size', 'MSG a 1 -2\r\nhi\r\n'],
    ['no size', 'MSG a 1\r\nhi\r\n'],
    ['too many arguments', 'MSG a 1 b c 2\r\nhi\r\n'],
    ['an empty argument', 'MSG a  1 2\r\nhi\r\n'],
    ['headers longer than the message', 'HMSG a 1 5 2\r\nhi\r\n'],
    ['a size no server sends', 'MSG a 1 99999999999\r\nhi\r\n'],
    ['an operation that is none', 'MSX a 1 2\r\nhi\r\n'],
    ['a line that ends in a bare return', 'MSG a 1 2\rhi\r\n'],
    ['no end where the message ends', 'MSG a 1 2\r\nhiXX'],
  ])('%s', (_, bad) => {
    for (const cut of [1, 7, 4096]) {
      const { taken, passed } = split(Buffer.from(`${after}${bad}${after}`), [cut], [1]);
      expect(taken).toEqual([{ sid: 1, reply: '', head: '', data: 'hi' }]);
      expect(passed.toString()).toBe(`${bad}${after}`);
    }
  });

  test('a control line without an end is not waited for for ever', () => {
    const bytes = Buffer.from(`MSG ${'a'.repeat(200_000)}`);
    const { taken, passed } = split(bytes, [1000], [1]);
    expect(taken).toEqual([]);
    expect(passed.length).toBeGreaterThan(100_000);
    expect(bytes.subarray(0, passed.length)).toEqual(passed);
  });
});

test('a large message is copied once, and one that nobody chose not at all', () => {
  const data = Buffer.alloc(5 * 2 ** 20, 'y');
  const whole = (id: number) => Buffer.concat([Buffer.from(`MSG a ${id} ${data.length}\r\n`), data, Buffer.from('\r\n')]);
  const { taken, passed } = split(Buffer.concat([whole(1), whole(2)]), [65_536], [1]);
  expect(taken).toHaveLength(1);
  expect(taken[0]!.data.length).toBe(data.length);
  expect(passed).toEqual(whole(2));
  // Handed on chunk by chunk as it comes: what is kept of it is at most its control line.
  const splitter = new WireSplit(new Map());
  const chunk = whole(2).subarray(0, 100_000);
  const [first, ...none] = [...splitter.split(chunk)];
  expect(none).toEqual([]);
  expect(first!.length).toBe(chunk.length);
  expect(first!.buffer).toBe(chunk.buffer);
});

test('a subscription given up in the middle of a message hands it on', () => {
  const taken: string[] = [];
  const takers = new Map([[1, () => void taken.push('1')]]);
  const splitter = new WireSplit(takers);
  const bytes = Buffer.from('MSG a 1 4\r\nabcd\r\nPING\r\n');
  const passed = [...splitter.split(bytes.subarray(0, 13))];
  takers.delete(1);
  passed.push(...splitter.split(bytes.subarray(13)));
  expect(taken).toEqual([]);
  expect(Buffer.concat(passed)).toEqual(bytes);
});
