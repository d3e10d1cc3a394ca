import { connect } from '@nats-io/transport-node';
import { openOf, sandboxOf } from './fixture.ts';

const kind = process.argv[2]!;
const nc = await connect({ servers: process.argv[3]! });
if (kind === 'echo') nc.subscribe('x', { callback: (_e, m) => m.respond(m.data) });
else {
  const s = sandboxOf();
  await s.start();
  const i = await s.open(
    openOf(
      {
        source: kind === 'async' ? 'return (async()=>{return { ...input, seen: true }})()' : 'return { ...input, seen: true }',
      },
      { limits: { maxConcurrent: 2000, turnMs: 2000 } },
    ),
  );
  let n = 0;
  nc.subscribe('x', {
    callback: (_e, m) => {
      i.call({
        callId: `c-${n++}`,
        capability: 't.do',
        input: m.string(),
        budgetMs: 10000,
        correlationId: 'kkkkkkkk-kkkk-kkkk',
      }).then(
        (t) => m.respond(t),
        (f) => m.respond(String(f)),
      );
    },
  });
}
await nc.flush();
console.log('ready');
process.on('SIGTERM', () => process.exit(0));
