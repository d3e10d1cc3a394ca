/**
 * What one idle workload more takes, in all cells together. The first is not counted (it loads what all share), and a timer keeps each awake: this is
 * about what they take, not about giving it back.
 */
import { descendants, pssBytes, sum } from './procfs.ts';
import { pause } from './waiting.ts';
import { bundleOf, echoEntry, type World } from './world.ts';

/** After that the engine has given back what it does by itself, ms. */
const SETTLED_MS = 25_000;

/** @returns bytes (PSS) of each. Nothing else may begin, end or fall asleep on the node meanwhile. */
export async function idleBytes(
  { alchemist, instance, fleet, leaf }: World,
  count: number,
  isolation: 'shared' | 'dedicated',
): Promise<number> {
  const agent = fleet.pids()[`agent-${instance}`]!;
  const cells = () => sum(descendants(agent).map(pssBytes));
  const nameOf = (i: number) => `bench-idle-${isolation}-${i}`;
  const place = async (i: number) => {
    const capability = `bench.idle-${isolation}-${i}`;
    const entry = `setInterval(() => {}, 600000); ${echoEntry(capability)}`;
    await alchemist.deploy({ bundle: await bundleOf(nameOf(i), entry, [capability]), instance, isolation });
    await leaf.request(`cim.v1.call.${capability}`, '1', { timeout: 10_000 });
  };
  await place(0);
  await pause(SETTLED_MS);
  const before = cells();
  for (let i = 1; i <= count; i++) await place(i);
  await pause(SETTLED_MS);
  const each = (cells() - before) / count;
  for (let i = 0; i <= count; i++) await alchemist.undeploy({ name: nameOf(i), instance });
  return each;
}
