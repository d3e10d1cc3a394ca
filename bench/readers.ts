/**
 * A thousand nodes find the hub again at once: each asks the registry for the consumers it follows its three rows by. Over the same consumers
 * made bare, by an administrator of the hub's own account.
 */
import { Fault, readableRows, readerConsumer } from '@cim/contracts';
import { request } from '@cim/contracts/bus';
import { type ConsumerConfig, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { median, type Row } from './row.ts';
import type { World } from './world.ts';

const NODES = 1_000;
/** As long as a node waits for it. */
const ANSWER_MS = 5_000;
/** Requests under way for the floor: as many as a registry has. */
const AT_A_TIME = 32;

export async function readerRows({ fleet, hub }: World, rounds: number): Promise<Row[]> {
  // Speaks for every node: an administrator of the account the leaves are in.
  const user = 'admin-fleet';
  const asked = await connect({ servers: fleet.hub.url, user, pass: fleet.secrets.password(user) });
  const jsm = await jetstreamManager(hub);
  const noResponder = new Fault('hub-unreachable', 'no registry');
  const name = (i: number) => `bench-node-${i}`;
  const took: number[] = [];
  const floor: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      let begun = performance.now();
      await Promise.all(
        Array.from({ length: NODES }, async (_, i) => {
          for (const row of readableRows)
            await request(
              asked,
              'read',
              { instance: name(i) },
              { row, slot: 0, from: 'last' },
              { timeoutMs: ANSWER_MS, noResponder },
            );
        }),
      );
      took.push((performance.now() - begun) / 1000);
      begun = performance.now();
      let next = 0;
      const lane = async () => {
        for (let i = next++; i < NODES; i = next++)
          for (const row of readableRows) {
            const { stream, config } = readerConsumer(name(i), { row, slot: 0, from: 'last' });
            await jsm.consumers.delete(stream, config.name).catch(() => {});
            await jsm.consumers.add(stream, config as Partial<ConsumerConfig>);
          }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, lane));
      floor.push((performance.now() - begun) / 1000);
    }
    for (let i = 0; i < NODES; i++)
      for (const row of readableRows) {
        const { stream, config } = readerConsumer(name(i), { row, slot: 0, from: 'last' });
        await jsm.consumers.delete(stream, config.name);
      }
  } finally {
    await asked.close();
  }
  const value = median(took);
  return [
    { name: `${NODES} nodes begin to follow at once`, unit: 's', value, floor: median(floor), ratio: value / median(floor) },
  ];
}
