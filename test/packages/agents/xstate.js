import { assign, createActor, createMachine, fromPromise, waitFor } from 'xstate';
import { using } from '../using.js';

export default using(async () => {
  const busy = { invoke: { src: 'work', onDone: { target: 'done', actions: assign({ n: ({ event }) => event.output }) } } };
  const work = fromPromise(async () => {
    await new Promise((done) => setTimeout(done, 5));
    return 42;
  });
  const machine = createMachine({
    context: { n: 0 },
    initial: 'idle',
    states: { idle: { on: { GO: 'busy' } }, busy, done: { type: 'final' } },
  });
  const actor = createActor(machine.provide({ actors: { work } })).start();
  const before = actor.getSnapshot().value;
  actor.send({ type: 'GO' });
  const end = await waitFor(actor, (state) => state.status === 'done');
  return { before, after: end.value, n: end.context.n };
});
