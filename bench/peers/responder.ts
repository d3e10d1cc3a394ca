/**
 * A process that hosts guests of one peer, so that their cost stands apart from the bench's own.
 *   responder.ts serve KIND URL USER PASSWORD SUBJECT   answers on the subject; prints {"pids": [...]} when it does
 *   responder.ts cold KIND COUNT                        prints milliseconds from nothing to the first answer, each
 *   responder.ts idle KIND COUNT                        prints bytes (PSS) that one idle guest more takes
 */
import { connect } from '@nats-io/transport-node';
import { pssBytes, sum } from '../procfs.ts';
import { type Guest, type Kind, openGuest } from './guests.ts';

const [mode, kind, ...rest] = process.argv.slice(2) as ['serve' | 'cold' | 'idle', Kind, ...string[]];
const PAYLOAD = '{"id":"c0ffee"}';
const tell = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

if (mode === 'serve') {
  const [servers, user, pass, subject] = rest as [string, string, string, string];
  const guest = await openGuest(kind);
  await guest.call(PAYLOAD);
  const connection = await connect({ servers, user, pass });
  connection.subscribe(subject, {
    callback: (_error, message) => {
      const answer = guest.call(message.string());
      // As ours does it: the client library's own encoder is several times slower.
      if (typeof answer === 'string') message.respond(Buffer.from(answer));
      else void answer.then((text) => message.respond(Buffer.from(text)));
    },
  });
  await connection.flush();
  tell({ pids: guest.pids });
  process.on('SIGTERM', () => void guest.close().then(() => process.exit(0)));
} else if (mode === 'cold') {
  const took: number[] = [];
  for (let i = 0; i < Number(rest[0]); i++) {
    const begun = performance.now();
    const guest = await openGuest(kind);
    await guest.call(PAYLOAD);
    took.push(performance.now() - begun);
    await guest.close();
  }
  tell(took);
  process.exit(0);
} else {
  const count = Number(rest[0]);
  // The first loads what all share.
  const guests: Guest[] = [await openGuest(kind)];
  await guests[0]!.call(PAYLOAD);
  const held = () => pssBytes(process.pid) + sum(guests.flatMap(({ pids }) => pids.map(pssBytes)));
  const settle = () => new Promise((resolve) => setTimeout(resolve, 1_000));
  await settle();
  const before = held();
  for (let i = 0; i < count; i++) {
    const guest = await openGuest(kind);
    await guest.call(PAYLOAD);
    guests.push(guest);
  }
  await settle();
  tell((held() - before) / count);
  await Promise.all(guests.map((guest) => guest.close()));
  process.exit(0);
}
