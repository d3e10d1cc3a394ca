/**
 * One workload's file of desired state: the last good record, the one that last came to serve, and which bundle it had before.
 */
import { DesiredRecord, Digest, decodeJson } from '@cim/contracts';
import { z } from 'zod';

const RecordFile = z.strictObject({
  api: z.literal(1),
  /** Revision in the hub's KV; a hint and nothing more, since a hub may start over. */
  revision: z.number().int().nonnegative(),
  record: DesiredRecord,
  /** The record whose edition last answered calls here; absent before the first. */
  serving: DesiredRecord.optional(),
  /** Digest of the bundle that served before that one. */
  previous: Digest.optional(),
});

/** What a node holds on to for one workload. */
export interface Held {
  /** `<kind>.<name>` */
  readonly key: string;
  readonly record: DesiredRecord;
  readonly revision: number;
  readonly serving?: DesiredRecord;
  readonly previous?: Digest;
}

export const workloadKey = (of: { readonly kind: string; readonly name: string }): string => `${of.kind}.${of.name}`;

export function renderHeld({ record, revision, serving, previous }: Held): string {
  return `${JSON.stringify({
    api: 1,
    revision,
    record,
    ...(serving === undefined ? {} : { serving }),
    ...(previous === undefined ? {} : { previous }),
  })}\n`;
}

/** @throws Fault `invalid-input` with every wrong field */
export function readHeld(text: string): Held {
  const { revision, record, serving, previous } = decodeJson(RecordFile, text, 'desired record on disk');
  return {
    key: workloadKey(record.document),
    record,
    revision,
    ...(serving === undefined ? {} : { serving }),
    ...(previous === undefined ? {} : { previous }),
  };
}
