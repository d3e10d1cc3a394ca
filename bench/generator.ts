/**
 * Requests at the speed of the protocol: one socket, NATS written and read by hand, so that the responder is the limit and not the
 * client library, which spends more on a request than a responder does.
 * Protocol: https://docs.nats.io/reference/reference-protocols/nats-protocol (INFO, CONNECT, SUB, PUB, MSG, HMSG, PING).
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { PAYLOAD, type Rate } from './load.ts';

export interface Target {
  /** `nats://host:port`, without TLS. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

const INBOX = '_INBOX.generator';
const PATIENCE_MS = 10_000;

/** Keeps `inFlight` requests under way for that long. @throws when the server refuses, or an answer stays away */
export async function saturate(target: Target, subject: string, inFlight: number, ms: number): Promise<Rate> {
  const { hostname, port } = new URL(target.url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  const { user, password: pass } = target;
  const request = `PUB ${subject} ${INBOX} ${Buffer.byteLength(PAYLOAD)}\r\n${PAYLOAD}\r\n`;
  // Requests that answers of one read let go leave in one write.
  const requests = Array.from({ length: inFlight + 1 }, (_, n) => Buffer.from(request.repeat(n)));
  socket.write(`CONNECT ${JSON.stringify({ user, pass, verbose: false, headers: true, no_responders: true })}\r\n`);
  socket.write(`SUB ${INBOX} 1\r\n`);
  const end = Promise.withResolvers<void>();
  const reader = createReader((line) => end.reject(new Error(`the server said ${line}`)));
  const begun = performance.now();
  let answered = 0;
  let last = begun;
  const watch = setInterval(() => {
    if (performance.now() - last > PATIENCE_MS) end.reject(new Error(`no answer on ${subject} within ${PATIENCE_MS} ms`));
  }, 1_000);
  socket.on('error', end.reject);
  socket.on('data', (chunk) => {
    const { answers, pings } = reader(chunk);
    if (pings > 0) socket.write('PONG\r\n');
    if (answers === 0) return;
    answered += answers;
    last = performance.now();
    if (last - begun >= ms) end.resolve();
    else socket.write(requests[Math.min(answers, inFlight)]!);
  });
  socket.write(requests[inFlight]!);
  try {
    await end.promise;
    return { perSecond: (answered / (last - begun)) * 1000, answered };
  } finally {
    clearInterval(watch);
    socket.destroy();
  }
}

const [CR, M, H, P] = [13, 77, 72, 80];

/** Counts answers in a stream however it was cut. @param refused told of a line of the server's that is an error, or a 503 */
function createReader(
  refused: (line: string) => void,
): (chunk: Buffer) => { readonly answers: number; readonly pings: number } {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let [at, answers, pings] = [0, 0, 0];
    for (;;) {
      const line = bytes.indexOf(CR, at);
      if (line < 0 || line + 1 >= bytes.length) break;
      const first = bytes[at];
      if (first !== M && first !== H) {
        const text = bytes.toString('latin1', at, line);
        if (first === P && text === 'PING') pings++;
        else if (text.startsWith('-ERR')) refused(text);
        at = line + 2;
        continue;
      }
      const length = Number(bytes.toString('latin1', bytes.lastIndexOf(32, line) + 1, line));
      const after = line + 2 + length + 2;
      if (after > bytes.length) break;
      // With headers an answer here is a refusal: no responder, or a fault.
      if (first === H) refused(bytes.toString('latin1', line + 2, Math.min(after, line + 120)).split('\r\n', 1)[0]!);
      answers++;
      at = after;
    }
    rest = bytes.subarray(at);
    return { answers, pings };
  };
}
