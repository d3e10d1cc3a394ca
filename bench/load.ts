/** One request client: calls a subject with so many in flight and counts, or one at a time and takes the time of each. */
import type { NatsConnection } from '@nats-io/transport-node';

/** 192 bytes of JSON: an ordinary small request. */
export const PAYLOAD = JSON.stringify({ id: 'c0ffee', kind: 'order', text: 'x'.repeat(143) });

export interface Rate {
  readonly perSecond: number;
  readonly answered: number;
}

export async function throughput(connection: NatsConnection, subject: string, inFlight: number, ms: number): Promise<Rate> {
  const end = performance.now() + ms;
  let answered = 0;
  const line = async () => {
    while (performance.now() < end) {
      await connection.request(subject, PAYLOAD, { timeout: 10_000 });
      answered++;
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: inFlight }, line));
  return { perSecond: (answered / (performance.now() - begun)) * 1000, answered };
}

/** Microseconds of each of `count` calls, one after the other. */
export async function latencies(connection: NatsConnection, subject: string, count: number): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < count; i++) {
    const begun = performance.now();
    await connection.request(subject, PAYLOAD, { timeout: 10_000 });
    took.push((performance.now() - begun) * 1000);
  }
  return took;
}
