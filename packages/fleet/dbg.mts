import { startFleet } from './dist/index.js';
import { Alchemist } from '../alchemist/dist/index.js';
const t=Date.now();
const f = await startFleet({ directory: '/tmp/fl1', told: (l)=>console.log(Date.now()-t, l) });
console.log(f.resumed, f.leftovers);
try {
const al = await Alchemist.connect({profile: f.profileFile});
const b = await al.bundle('examples/hello'); console.log(Date.now()-t, b.manifest.name, b.size, Object.keys(b.manifest.capabilities));
console.log(await al.publish(b, {channel:'stable'}));
for (const i of ['cim-a','cim-b']) { const r = await al.deploy({name:'hello', instance:i, onStep:(s)=>console.log(i,s)}); console.log(r.status); }
const cap = Object.keys(b.manifest.capabilities)[0];
console.log(await al.call(cap, {name:'Ada'}, {instance:'cim-a', onReply: console.log}));
console.log(JSON.stringify(await al.workloads(),null,1).slice(0,1500));
await al.close();
} catch(e) { console.log(e) }
console.log('stop', await f.stop(), Date.now()-t);
