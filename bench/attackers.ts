/**
 * The callers of the hostile workloads, in a process of their own: whoever calls a hostile workload is elsewhere as a rule, and what it
 * does with large answers and with faults must not be measured as a delay of others. Says `ready` when connected, begins when its standard
 * input ends, and tells at its end, as one line of JSON, how many calls of each kind came to an end.
 */
import { setPriority } from 'node:os';
import { connect } from '@nats-io/transport-node';
import { pause } from './waiting.ts';

const LINES = 2;
const [servers, user, pass, seconds, ...kinds] = process.argv.slice(2) as [string, string, string, string, ...string[]];
// It would have cores of its own: here it takes what those who are measured leave.
setPriority(19);
const connection = await connect({ servers, user, pass });
process.stdout.write('ready\n');
for await (const _ of process.stdin);
const end = performance.now() + Number(seconds) * 1000;
const ended: Record<string, number> = Object.fromEntries(kinds.map((kind) => [kind, 0]));
await Promise.all(
  kinds.flatMap((kind) =>
    Array.from({ length: LINES }, async () => {
      while (performance.now() < end) {
        await connection.request(`cim.v1.call.bench.${kind}`, '1', { timeout: 5_000 }).catch(() => {});
        ended[kind]! += 1;
        await pause(20);
      }
    }),
  ),
);
process.stdout.write(`${JSON.stringify(ended)}\n`);
await connection.close();
