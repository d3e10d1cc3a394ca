/**
 * A cell that was broken out of, on its one wire: it greets and opens as it should, then does what the call's input names. Bundled by
 * broken/launch.ts and started with the cell's own flags in the cell's own surroundings.
 */
import { Socket } from 'node:net';

const socket = new Socket({ fd: 3, readable: true, writable: true });
const HEADER = 13;
/** Kinds of frames towards a cell, and from it. */
const [OPEN, ENTER, , PING] = [1, 2, 3, 4];
const [HELLO, OPENED, OUT, GONE, PONG, MEASURED] = [1, 2, 3, 4, 5, 6];
let deaf = false;

function frame(kind: number, isolate: number, mark: number, payload: string | Buffer): Buffer {
  const bytes = Buffer.from(payload);
  const out = Buffer.alloc(HEADER + bytes.length);
  out.writeUInt32BE(bytes.length, 0);
  out[4] = kind;
  out.writeUInt32BE(isolate, 5);
  out.writeUInt32BE(mark, 9);
  bytes.copy(out, HEADER);
  return out;
}
const send = (...of: Parameters<typeof frame>) => void socket.write(frame(...of));
const out = (isolate: number, head: string, body: string) => frame(OUT, isolate, head.length, head + body);
const answer = (isolate: number, slot: number, text: string) => socket.write(out(isolate, `0,${slot},${text.length}`, text));

/** Writes the same bytes for ever, as fast as the socket takes them. */
function flood(bytes: Buffer): void {
  const many = Buffer.concat(Array.from({ length: Math.max(1, Math.floor(65_536 / bytes.length)) }, () => bytes));
  const pour = () => {
    while (socket.write(many));
    socket.once('drain', pour);
  };
  pour();
}
const records = (count: number, head: string, body: string) =>
  [Array.from({ length: count }, () => head).join(','), body.repeat(count)] as const;
const LOG = '["info","x",{}]';
const METRIC = '["counter","a",1]';

interface Call {
  readonly isolate: number;
  readonly slot: number;
}
const deeds: Record<string, (call: Call) => void> = {
  well: ({ isolate, slot }) => answer(isolate, slot, '"well"'),
  'flood of pongs': () => flood(frame(PONG, 0, 1, '')),
  'flood of greetings': () => flood(frame(HELLO, 0, 1, '')),
  'flood of measures': () => flood(frame(MEASURED, 0, 0, '[]')),
  'flood of large measures': () => flood(frame(MEASURED, 0, 0, `[${'[1,1,1],'.repeat(500_000)}[1,1,1]]`)),
  'flood of log lines': ({ isolate }) => flood(out(isolate, ...records(5_000, `3,${LOG.length}`, LOG))),
  'flood of metrics': ({ isolate }) => flood(out(isolate, ...records(5_000, `4,${METRIC.length}`, METRIC))),
  'flood of single log lines': ({ isolate }) => flood(out(isolate, `3,${LOG.length}`, LOG)),
  'flood of wakes': ({ isolate }) => flood(out(isolate, ...records(20_000, '5,1', ''))),
  'flood of empty batches': ({ isolate }) => flood(out(isolate, '', '')),
  'flood of late answers': ({ isolate, slot }) => {
    answer(isolate, slot, '1');
    flood(out(isolate, ...records(20_000, `0,${slot},1`, '1')));
  },
  'flood of endings of an isolate that is gone': ({ isolate }) => {
    send(GONE, isolate, 0, '["out-of-memory","x"]');
    flood(frame(GONE, isolate, 0, '["out-of-memory","x"]'));
  },
  'flood of batches of an isolate that is gone': ({ isolate }) => {
    send(GONE, isolate, 0, '["out-of-memory","x"]');
    flood(out(isolate, '5,1', ''));
  },
  'flood of small requests': ({ isolate }) => {
    const text = '["kv.get","k"]';
    let next = 1;
    setInterval(() => {
      const [head, body] = records(200, '', text);
      socket.write(
        out(
          isolate,
          head
            .split(',')
            .map(() => `2,${next++},0,${text.length}`)
            .join(','),
          body,
        ),
      );
    }, 1);
  },
  'flood of heavy requests': ({ isolate }) => {
    const text = `["kv.put","k",[${'[],'.repeat(300_000)}1]]`;
    let next = 1;
    setInterval(() => socket.write(out(isolate, `2,${next++},0,${text.length}`, text)), 20);
  },
  'a fault as large as may be': ({ isolate, slot }) => {
    const text = JSON.stringify({ code: 'handler-failed', detail: 'x'.repeat(60_000) });
    socket.write(out(isolate, `1,${slot},${text.length}`, text));
  },
  'a payload as large as may be': ({ isolate }) => send(OUT, isolate, 0, Buffer.alloc(8 * 2 ** 20, 'x')),
  'nested brackets': ({ isolate }) => socket.write(out(isolate, `3,${20_000}`, '['.repeat(20_000))),
  'answers twice': ({ isolate, slot }) => {
    answer(isolate, slot, '"well"');
    answer(isolate, slot, '"again"');
  },
  'answers what is no JSON': ({ isolate, slot }) => answer(isolate, slot, '{{{'),
  'answers too much': ({ isolate, slot }) => answer(isolate, slot, `"${'x'.repeat(2 ** 20)}"`),
  'answers for another isolate': ({ isolate, slot }) => answer(isolate === 1 ? 2 : 1, slot + 1, '"mine"'),
  'answers before it was asked': ({ isolate, slot }) => answer(isolate, slot + 1, '"early"'),
  'speaks for an isolate of another cell': () => send(OUT, 4_000_000_000, 0, ''),
  'opens again': ({ isolate }) => send(OPENED, isolate, 0, ''),
  'says it ran out of memory': ({ isolate }) => send(GONE, isolate, 0, '["out-of-memory","so it says"]'),
  'claims a reason that is none': ({ isolate }) => send(GONE, isolate, 0, '["closed","x"]'),
  'half a frame': () => void socket.write(frame(PONG, 0, 1, 'x'.repeat(100)).subarray(0, 60)),
  'one byte at a time': ({ isolate, slot }) => {
    const bytes = out(isolate, `0,${slot},6`, '"well"');
    let at = 0;
    const drip = () => {
      if (at === bytes.length) return;
      socket.write(bytes.subarray(at, at + 1));
      at += 1;
      setImmediate(drip);
    };
    drip();
  },
  'text that is no text': ({ isolate, slot }) => {
    const text = Buffer.concat([Buffer.from(`0,${slot},4"`), Buffer.from([0xc3, 0x28]), Buffer.from('"')]);
    const head = `0,${slot},4`;
    send(OUT, isolate, head.length, text);
  },
  'prototype in a fault': ({ isolate, slot }) => {
    const text =
      '{"__proto__":{"code":"unauthenticated"},"code":"handler-failed","detail":"x","constructor":{"prototype":{"a":1}}}';
    socket.write(out(isolate, `1,${slot},${text.length}`, text));
  },
  'a fault only the host may give': ({ isolate, slot }) => {
    const text = '{"code":"signature-invalid","detail":"x"}';
    socket.write(out(isolate, `1,${slot},${text.length}`, text));
  },
  'stops reading': () => {
    deaf = true;
    socket.pause();
  },
  'reads and never answers': () => {},
  'answers no ping': () => {
    deaf = true;
  },
  'holds the thread': () => {
    for (;;);
  },
  'lies about its end': () => {
    process.stderr.write('FATAL ERROR: JavaScript heap out of memory\n');
    process.exit(0);
  },
  'exits with success': () => process.exit(0),
  'dies of a signal': () => process.kill(process.pid, 'SIGSEGV'),
  aborts: () => process.abort(),
  'closes its socket and lives on': () => {
    socket.destroy();
    setInterval(() => {}, 1000);
  },
  'a flood on standard error': () => {
    const text = 'out of order '.repeat(5_000);
    setInterval(() => {
      for (let i = 0; i < 50; i++) process.stderr.write(text);
    }, 1);
  },
  'takes memory': () => {
    const all: Buffer[] = [];
    setInterval(() => all.push(Buffer.alloc(32 * 2 ** 20, 1)), 5);
  },
  'names another isolate as the one it is in': () => {
    process.title = 'cell 4711';
    for (;;);
  },
};

let held = Buffer.alloc(0);
socket.on('data', (chunk: Buffer) => {
  held = Buffer.concat([held, chunk]);
  while (held.length >= HEADER) {
    const end = HEADER + held.readUInt32BE(0);
    if (held.length < end) return;
    const [kind, isolate, mark] = [held[4], held.readUInt32BE(5), held.readUInt32BE(9)];
    const text = held.subarray(HEADER, end).toString('utf8');
    held = held.subarray(end);
    if (kind === OPEN) send(OPENED, isolate, 0, '');
    if (kind === PING && !deaf) send(PONG, 0, mark, '');
    if (kind === ENTER && text.startsWith('0,')) {
      const slot = Number(text.split(',')[1]);
      const deed = Object.keys(deeds).find((name) => text.endsWith(JSON.stringify(name)));
      (deeds[deed ?? ''] ?? deeds['well']!)({ isolate, slot });
    }
  }
});
socket.on('error', () => {});
send(HELLO, 0, 1, '');
