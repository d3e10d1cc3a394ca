/**
 * A leaf as a thief would write one: speaks the leaf protocol itself, with a stolen credential, and heeds none of the limits a real
 * nats-server would keep on its side of the link. What is refused to it is refused by the hub.
 * Protocol: nats-server `server/leafnode.go`: INFO, CONNECT, LS+ <subject> [<queue> <weight>], LMSG <subject> [<reply>] <size>.
 */
import { connect, type Socket } from 'node:net';
import { readCreds, systemClock, waitUntil } from '@cim/contracts';
import { fromSeed } from '@nats-io/nkeys';

export interface Heard {
  readonly subject: string;
  readonly payload: string;
}

export interface Thief extends AsyncDisposable {
  readonly heard: readonly Heard[];
  /** What the hub said in refusal. */
  readonly refusals: readonly string[];
  /** Subjects the hub told of: where it would send to. */
  readonly told: readonly string[];
  alive(): boolean;
  listen(subject: string, queue?: string): void;
  say(subject: string, payload: string, reply?: string): void;
  /** Resolves when the hub has read everything said so far. */
  settled(): Promise<void>;
}

/** @returns undefined when the hub did not let it in */
export async function thief(port: number, credsText: string): Promise<Thief | undefined> {
  const { jwt, seed } = readCreds(credsText, 'stolen');
  const heard: Heard[] = [];
  const refusals: string[] = [];
  const told: string[] = [];
  let held = Buffer.alloc(0);
  let pongs = 0;
  let pings = 0;
  let open = true;
  let joined = false;
  const socket: Socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  socket.on('close', () => {
    open = false;
  });
  const write = (line: string) => void socket.write(line);
  const take = (line: string): number => {
    const [verb = '', ...words] = line.split(' ');
    switch (verb) {
      case 'INFO': {
        if (joined) break;
        joined = true;
        const { nonce } = JSON.parse(line.slice(5)) as { nonce: string };
        const sig = Buffer.from(fromSeed(new TextEncoder().encode(seed)).sign(new TextEncoder().encode(nonce))).toString(
          'base64url',
        );
        write(
          `CONNECT ${JSON.stringify({ jwt, sig, name: 'thief', server_id: 'THIEF', headers: false, cluster: '' })}\r\nPING\r\n`,
        );
        pings++;
        break;
      }
      case 'PING':
        write('PONG\r\n');
        break;
      case 'PONG':
        pongs++;
        break;
      case '-ERR':
        refusals.push(line);
        break;
      case 'LS+':
        told.push(words[0]!);
        break;
      case 'LMSG':
        return Number(words.at(-1));
    }
    return -1;
  };
  socket.on('data', (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    for (;;) {
      const end = held.indexOf('\r\n');
      if (end < 0) return;
      const line = held.subarray(0, end).toString();
      if (line.startsWith('LMSG')) {
        const size = Number(line.split(' ').at(-1));
        if (held.length < end + 2 + size + 2) return;
        heard.push({ subject: line.split(' ')[1]!, payload: held.subarray(end + 2, end + 2 + size).toString() });
        held = held.subarray(end + 2 + size + 2);
        continue;
      }
      take(line);
      held = held.subarray(end + 2);
    }
  });
  const settled = async () => {
    write('PING\r\n');
    const wanted = ++pings;
    await waitUntil(systemClock, 10_000, () => pongs >= wanted || !open, 5);
  };
  await waitUntil(systemClock, 10_000, () => pongs > 0 || !open, 5);
  if (!open || pongs === 0) return undefined;
  return {
    heard,
    refusals,
    told,
    alive: () => open,
    listen: (subject, queue) => write(queue === undefined ? `LS+ ${subject}\r\n` : `LS+ ${subject} ${queue} 1\r\n`),
    say: (subject, payload, reply) =>
      write(`LMSG ${subject} ${reply === undefined ? '' : `${reply} `}${Buffer.byteLength(payload)}\r\n${payload}\r\n`),
    settled,
    async [Symbol.asyncDispose]() {
      socket.destroy();
    },
  };
}
