import { ask, openOf, sandboxOf } from './fixture.ts';

const s = sandboxOf({ spareCells: 1 });
const t = performance.now();
await s.start();
console.log('start', performance.now() - t);
for (let i = 0; i < 10; i++) {
  const t = performance.now();
  const x = await s.open(openOf({ source: 'return 1' }, { isolation: i < 7 ? 'shared' : 'dedicated' }));
  const u = performance.now();
  await ask(x);
  console.log(i, (u - t).toFixed(1), (performance.now() - u).toFixed(1));
  await new Promise((r) => setTimeout(r, i < 2 ? 500 : i < 7 ? 20 : 500));
}
await s.stop(100);
