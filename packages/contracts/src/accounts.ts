/**
 * The hub's two accounts and what crosses between them.
 *
 * nats-server judges the subject of a message and never the address it wants its answer sent to, and JetStream answers in its own name. So
 * whoever shares an account with JetStream can have it write into any stream of the account, and call its API, by asking something he may ask
 * with such an address. Leaves therefore live in an account that has no JetStream (`CIM`, with calls, events and logs), and the hub's state
 * in one of its own (`HUB`); single subjects are exported from there as services. An answer comes back into the asker's account alone,
 * and no answer is taken for a request of its own.
 *
 * Promises:
 * X1. What crosses is derived from the channel and topology tables: what some node may read or write, and requests to the registry.
 * X2. Nothing by which a consumer is made, changed or deleted crosses, nor a stream's administration.
 * Measured with nats-server 2.15.1; test/walks/stolen.test.ts keeps it. Rule of answers: nats-server `client.processServiceImport`.
 */
import { type Channel, channels, openEnded, type Party, patternOf } from './channels.ts';
import { rowsAt, streamName } from './topology.ts';

export type HubAccount = 'HUB' | 'CIM';

/** The account a party's users belong to. `monitoring` is no party and belongs to `CIM`. */
export const accountOf = (party: Party): HubAccount => (party === 'registry' ? 'HUB' : 'CIM');

/** A service `HUB` gives and `CIM` takes, under the same subject. */
export interface Crossing {
  readonly subject: string;
  /** A request may have many answers: a pull, a batch of chunks. */
  readonly answers: 'one' | 'many';
}

/** JetStream domain of the hub. */
const DOMAIN = 'hub';

/**
 * What a leaf says under the hub's domain, as it is said in `CIM`. nats-server adds these itself when a leaf joins, and forgets them when the
 * account's claims change; so the account says them.
 */
export const domainMappings: Readonly<Record<string, string>> = {
  [`$JS.${DOMAIN}.API.CONSUMER.>`]: '$JS.API.CONSUMER.>',
  [`$JS.${DOMAIN}.API.DIRECT.>`]: '$JS.API.DIRECT.>',
  [`$JS.${DOMAIN}.API.$KV.>`]: '$KV.>',
};

/** Everything that crosses (X1), sorted by subject. */
export function crossings(): readonly Crossing[] {
  const found = new Map<string, Crossing['answers']>();
  for (const row of rowsAt('hub')) {
    const stream = streamName(row);
    const { node } = row.access;
    if (node === 'read' || node === 'read-own') {
      found.set(`$JS.API.DIRECT.GET.${stream}.>`, 'many');
      if (node === 'read') found.set(`$JS.API.DIRECT.GET.${stream}`, 'many');
      if (row.readers) found.set(`$JS.API.CONSUMER.MSG.NEXT.${stream}.>`, 'many');
    } else if (node === 'write-own') {
      if (row.type === 'stream') {
        for (const subject of row.subjects) found.set(subject, 'one');
        // Where it stopped: the node's own last event.
        found.set(`$JS.API.DIRECT.GET.${stream}.>`, 'one');
      } else found.set(`$KV.${row.name}.>`, 'one');
    } else if (node !== 'none') throw new TypeError(`${row.name}: no node may ${node} what the hub keeps`);
  }
  for (const [name, channel] of Object.entries(channels) as [keyof typeof channels, Channel][]) {
    if (channel.kind !== 'request' || !channel.to.includes('registry')) continue;
    found.set(openEnded(patternOf(name)), 'one');
  }
  return [...found].map(([subject, answers]) => ({ subject, answers })).sort((a, b) => (a.subject < b.subject ? -1 : 1));
}
