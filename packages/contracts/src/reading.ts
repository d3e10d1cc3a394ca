/**
 * The consumer a registry makes when a node asks to follow a row (channel `read`): everything of it but the place to begin is settled here,
 * by the table and the instance that asks, and nothing by what it says.
 */
import type { ReadRequest } from './schema/read.ts';
import { consumerNames, readFilter, streamName, topology } from './topology.ts';

/** How long the server keeps a reader's consumer that nobody pulls from, ms: longer than a pull waits. */
const FORGOTTEN_MS = 90_000;
/** Pulls that may wait at a time: the one in force, and one of a connection that died. */
const MOST_PULLS = 4;

/** Fields as the JetStream API spells them; durations in ns. */
export interface ReaderConsumer {
  readonly stream: string;
  readonly config: {
    readonly name: string;
    readonly filter_subject: string;
    readonly ack_policy: 'none';
    readonly mem_storage: true;
    readonly num_replicas: 1;
    readonly max_waiting: number;
    readonly inactive_threshold: number;
  } & (
    | { readonly deliver_policy: 'last_per_subject' }
    | { readonly deliver_policy: 'by_start_sequence'; readonly opt_start_seq: number }
  );
}

export function readerConsumer(instance: string, { row: name, slot, from }: ReadRequest): ReaderConsumer {
  const row = topology[name];
  return {
    stream: streamName(row),
    config: {
      name: consumerNames(row, instance)[slot]!,
      filter_subject: readFilter(row, instance),
      ack_policy: 'none',
      mem_storage: true,
      num_replicas: 1,
      max_waiting: MOST_PULLS,
      inactive_threshold: FORGOTTEN_MS * 1e6,
      ...(from === 'last'
        ? { deliver_policy: 'last_per_subject' }
        : { deliver_policy: 'by_start_sequence', opt_start_seq: from }),
    },
  };
}
