import { expect, test } from 'vitest';
import { ask, faultFrom, openOf, sandboxOf } from './fixture.ts';

test('smoke', async () => {
  const s = sandboxOf();
  await s.start();
  const i = await s.open(openOf({ source: 'return {got: input, id: call.id}' }));
  console.log(await ask(i, { a: 1 }));
  const j = await s.open(openOf({ source: 'return (async()=>{ await null; return 5})()' }));
  console.log(await ask(j, { a: 1 }));
  const k = await s.open(openOf({ source: 'for(;;);' }));
  console.log(await faultFrom(ask(k, { a: 1 })));
  console.log(s.cells());
  await s.stop(1000);
});
