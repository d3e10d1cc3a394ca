/**
 * Free TCP ports that stay ours over a restart.
 *
 * Promises:
 * P1. A port that was wished for is taken when it is free.
 * P2. Any other lies below the kernel's ephemeral range (32768 up on Linux), so that no outgoing connection of anybody takes it while
 *     its server is down between two starts. Two fleets may still pick the same one at the same moment: who binds second tries again.
 */
import { createServer } from 'node:net';
import { Fault } from '@cim/contracts';
import { randomBetween } from './surroundings.ts';

const FROM = 20_000;
const TO = 32_000;
const TRIES = 200;

/** True when the port can be bound on `host` now. */
export function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/**
 * @param wished taken when free
 * @param taken ports already given away; the one returned is added
 * @throws Fault `internal` when none of many is free
 */
export async function freePort(host: string, wished: number | undefined, taken: Set<number>): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const port = attempt === 0 && wished !== undefined ? wished : randomBetween(FROM, TO);
    if (taken.has(port) || !(await isFree(host, port))) continue;
    taken.add(port);
    return port;
  }
  throw new Fault('internal', `no free port between ${FROM} and ${TO} on ${host} in ${TRIES} tries`);
}
