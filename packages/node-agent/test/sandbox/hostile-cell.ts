/** A cell that was broken out of: greets as it should, then sends what its title says. Started with the cell's own flags. */
import { Socket } from 'node:net';

const socket = new Socket({ fd: 3, readable: true, writable: true });
const HEADER = 13;
const [OPEN, ENTER, PING] = [1, 2, 4];
const send = (kind: number, isolate: number, mark: number, payload: string | Buffer, length?: number) => {
  const bytes = Buffer.from(payload);
  const out = Buffer.alloc(HEADER + bytes.length);
  out.writeUInt32BE(length ?? bytes.length, 0);
  out[4] = kind;
  out.writeUInt32BE(isolate, 5);
  out.writeUInt32BE(mark, 9);
  bytes.copy(out, HEADER);
  socket.write(out);
};
const records = (head: string, body: string, isolate = 1) => send(3, isolate, head.length, head + body);

/** One record that is measured as it should be. */
const record = (head: string, body: string) => records(`${head},${body.length}`, body);

const deeds: Record<string, () => void> = {
  'unknown kind': () => send(99, 1, 0, ''),
  'oversized length': () => send(3, 1, 0, '', 2 ** 31),
  'head beyond payload': () => send(3, 1, 1000, '[]'),
  'head too long': () => send(3, 1, 2 ** 30, ''),
  'no json': () => records('1,2,', ''),
  'unknown record': () => records('77,1', ''),
  'negative slot': () => records('0,-1,0', ''),
  'fractional slot': () => records('0,1.5,0', ''),
  'text for a number': () => records('0,"1",0', ''),
  'nested head': () => records('['.repeat(50_000), ''),
  'slot never given': () => records('0,4711,2', '{}'),
  'body beyond the end': () => records('0,1,500', '{}'),
  'body left over': () => records('', '{}'),
  'unknown isolate': () => records('', '', 4711),
  'isolate zero': () => records('', '', 0),
  'fault without code': () => record('1,1', '{}'),
  'fault of the host': () => record('1,1', '{"code":"unauthenticated","detail":"x"}'),
  'fault that is no text': () => record('1,1', '{"code":"handler-failed","detail":{"a":1}}'),
  'issues without text': () =>
    record('1,1', '{"code":"handler-failed","detail":"x","issues":[{"path":{"toString":1,"valueOf":1}}]}'),
  'ask too large': () => records(`2,1,0,${2 ** 21}`, 'x'.repeat(2 ** 21)),
  'ask without operation': () => record('2,1,0', '[]'),
  'asks without end': () => records(Array.from({ length: 300 }, (_, i) => `2,${i},0,10`).join(','), '["kv.get"]'.repeat(300)),
  'log of no level': () => record('3', '["shout","x",{}]'),
  'log of the wrong shape': () => record('3', '["info",1,2]'),
  'metric with a bad name': () => record('4', '["counter","A B",1]'),
  'metric that is no number': () => record('4', '["counter","a","1"]'),
  'a limit that is none': () => record('6', '["patience",1]'),
  'a limit hit less than once': () => record('6', '["timers",0]'),
  'opened twice': () => send(2, 1, 0, ''),
  'gone without reason': () => send(4, 1, 0, '[1,2]'),
  'measures of nonsense': () => send(6, 0, 0, '[[1]]'),
  'another protocol': () => send(1, 0, 99, ''),
  'closes the socket': () => socket.destroy(),
  'random bytes': () => socket.write(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 251))),
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
    if (kind === OPEN) send(2, isolate, 0, '');
    if (kind === PING) send(5, 0, mark, '');
    if (kind === ENTER) deeds[Object.keys(deeds).find((name) => text.includes(`"${name}"`)) ?? '']?.();
  }
});
socket.on('error', () => {});
send(1, 0, 1, '');
