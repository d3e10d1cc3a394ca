/**
 * Who may publish and subscribe what on the hub, derived from the channel and topology tables and never typed by hand.
 *
 * Promises:
 * M1. A node's permissions name its own instance wherever an instance stands, calls excepted.
 * M2. Nothing is granted that no row asks for.
 * M3. Nobody listens in on another's inbox, and nobody but the hub's own JetStream and its registry can speak into a hub inbox.
 * Answers: a node answers requests, so it may publish to every inbox, `_INBOX.>`. The server's `allow_responses` would be narrower, but a leaf is told
 * of an inbox only where its user may publish to it, so with it alone no answer finds its way over a leaf link (nats-server 2.15).
 * M4. A node answers only the capabilities it was enrolled for; without a word on that, any (`serves`).
 * The registry's answers cross an account ({@link crossings}): there the server gives them an address of its own, `_R_.>`.
 * M5. A node pulls only from consumers that bear its own name ({@link consumerNames}), and makes, changes and ends none.
 * JetStream API subjects: nats-server `server/jetstream_api.go`; a leaf reaches the hub's API as `$JS.hub.API.>` and in no other way, a
 * client of the hub as `$JS.API.>` or under the domain.
 */
import { type Channel, type ChannelName, channels, openEnded, type Party, patternOf } from './channels.ts';
import {
  type Access,
  consumerNames,
  dataOf,
  ownSubjects,
  readFilter,
  rowsAt,
  streamName,
  type TopologyRow,
} from './topology.ts';

export interface SubjectPermissions {
  readonly publish: { readonly allow: readonly string[] };
  readonly subscribe: { readonly allow: readonly string[] };
}

/** Prefix of a party's inboxes for answers of other parties: nobody else can listen in, whoever answers calls can speak. */
export const inboxPrefix = (party: Party, id: string): string => `_INBOX.${party}.${id}`;

/**
 * Prefix of a party's inboxes for what the hub's JetStream answers and delivers: nobody else can listen in, and no other party can speak
 * (a forged answer to "what is desired" cannot be sent). Nor does the hub tell other leaves of such an inbox.
 */
export const hubInboxPrefix = (party: Party, id: string): string => `_INBOX_HUB.${party}.${id}`;

export interface PermissionOptions {
  /** Capability patterns a node may answer, e.g. `["document.*"]`, or what stands for them in a template. Absent: all. */
  readonly serves?: readonly string[];
}

/**
 * What a party may do on the hub.
 * @param id the instance for `node`, else any name that makes the inbox prefix its own
 */
export function permissionsOf(party: Party, id: string, { serves }: PermissionOptions = {}): SubjectPermissions {
  const publish = new Set<string>();
  const subscribe = new Set<string>([`${inboxPrefix(party, id)}.>`, `${hubInboxPrefix(party, id)}.>`]);
  for (const name of Object.keys(channels) as ChannelName[]) {
    const channel: Channel = channels[name];
    const hasInstance = channel.template.includes('{instance}');
    const own = party === 'node' && hasInstance ? patternOf(name, { instance: id } as never) : patternOf(name);
    if (channel.from.includes(party)) publish.add(openEnded(channel.anyInstance ? patternOf(name) : own));
    if (!channel.to.includes(party)) continue;
    if (party === 'node' && name === 'call' && serves !== undefined) {
      for (const pattern of serves) subscribe.add(patternOf(name).replace(/>$/, pattern));
    } else subscribe.add(openEnded(own));
  }
  // Requests for services discovery (NATS ADR-32): everyone may ask, nodes answer.
  if (party === 'node')
    for (const subject of ['$SRV.PING', '$SRV.PING.>', '$SRV.INFO', '$SRV.INFO.>', '$SRV.STATS', '$SRV.STATS.>'])
      subscribe.add(subject);
  if (party === 'alchemist') publish.add('$SRV.>');
  for (const row of rowsAt('hub')) {
    for (const subject of apiSubjects(row, row.access[party], id)) {
      const atHub = subject.startsWith('$JS.API.') ? `$JS.hub.${subject.slice('$JS.'.length)}` : undefined;
      // A leaf's words for JetStream cross its link under the domain only.
      if (atHub === undefined || party !== 'node') publish.add(subject);
      if (atHub !== undefined) publish.add(atHub);
    }
    if (row.access[party] === 'all' && row.type !== 'stream')
      subscribe.add(row.type === 'kv' ? `$KV.${row.name}.>` : `$O.${row.name}.>`);
  }
  if (answers(party)) publish.add(party === 'registry' ? '_R_.>' : '_INBOX.>');
  if (party === 'registry') for (const prefix of ['$JS', '$JS.hub']) publish.add(`${prefix}.API.INFO`);
  return {
    publish: { allow: [...publish].sort() },
    subscribe: { allow: [...subscribe].sort() },
  };
}

function answers(party: Party): boolean {
  return Object.values(channels).some((channel: Channel) => channel.kind === 'request' && channel.to.includes(party));
}

function apiSubjects(row: TopologyRow, access: Access, id: string): string[] {
  const stream = streamName(row);
  const data = dataOf(row);
  const filter = readFilter(row, id);
  const pulls = consumerNames(row, id).map((consumer) => `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`);
  switch (access) {
    case 'none':
      return [];
    case 'read-own':
      return [...pulls, `$JS.API.DIRECT.GET.${stream}.${filter}`];
    case 'read':
      return [...pulls, `$JS.API.DIRECT.GET.${stream}.${filter}`, `$JS.API.DIRECT.GET.${stream}`];
    case 'write-own':
      return [row.type === 'stream' ? `$JS.API.DIRECT.GET.${stream}.${data}.${id}.>` : `$JS.API.${ownSubjects(row, id)}`];
    case 'append':
      return [
        `$JS.API.STREAM.CREATE.${stream}`,
        `$JS.API.STREAM.INFO.${stream}`,
        `$JS.API.STREAM.MSG.GET.${stream}`,
        `$JS.API.CONSUMER.CREATE.${stream}.*.>`,
        `$JS.API.CONSUMER.INFO.${stream}.*`,
        `$JS.API.CONSUMER.DELETE.${stream}.*`,
        `$JS.API.DIRECT.GET.${stream}`,
        `$JS.FC.${stream}.>`,
      ];
    case 'all':
      return [
        `$JS.API.STREAM.*.${stream}`,
        `$JS.API.STREAM.MSG.*.${stream}`,
        `$JS.API.CONSUMER.*.${stream}`,
        `$JS.API.CONSUMER.*.${stream}.>`,
        `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
        `$JS.API.DIRECT.GET.${stream}`,
        `$JS.API.DIRECT.GET.${stream}.>`,
        `$JS.ACK.${stream}.>`,
        `$JS.FC.${stream}.>`,
        ...(row.type === 'stream' ? [] : [`${data}.>`, `$JS.API.${data}.>`]),
      ];
  }
}
