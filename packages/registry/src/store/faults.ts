/**
 * What the NATS client throws, as faults of the error table: the one place that knows the codes.
 * Codes: nats-server `server/errors.json`.
 */
import { DeadlineError, Fault } from '@cim/contracts';
import { JetStreamApiError } from '@nats-io/jetstream';
import { InvalidArgumentError } from '@nats-io/transport-node';

const WRONG_LAST_SEQUENCE: ReadonlySet<number> = new Set([10071, 10164]);
const STREAM_NOT_FOUND = 10059;
/** JetStream is between leaders: what was sent may still be stored. */
const TEMPORARY = 10008;
const MESSAGE_TOO_LARGE = 10054;
/** Insufficient resources, memory exceeded, storage exceeded, store failed (maximum bytes). */
const FULL: ReadonlySet<number> = new Set([10023, 10028, 10047, 10077]);

/** True when a compare-and-set lost: someone wrote first. */
export const lostRace = (error: unknown): boolean => error instanceof JetStreamApiError && WRONG_LAST_SEQUENCE.has(error.code);

export const streamMissing = (error: unknown): boolean => error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND;

/** True when the hub looked at a write and did not take it: it has not happened and will not. */
export const refusedByHub = (fault: Fault): boolean =>
  fault.code === 'too-large' || (fault.cause instanceof JetStreamApiError && fault.cause.code !== TEMPORARY);

/** @param what names what was tried, e.g. "reading CIM_CATALOG" */
export function hubFault(error: unknown, what: string): Fault {
  if (error instanceof Fault) return error;
  const message = error instanceof Error ? error.message : String(error);
  const fault = (code: 'storage-full' | 'too-large' | 'topology-drift' | 'hub-unreachable', detail: string) =>
    new Fault(code, `${what}: ${detail}`, { cause: error });
  if (error instanceof JetStreamApiError) {
    if (FULL.has(error.code)) return fault('storage-full', `the hub has no room (${message})`);
    if (error.code === MESSAGE_TOO_LARGE) return fault('too-large', message);
    if (error.code === STREAM_NOT_FOUND) return fault('topology-drift', 'the stream behind it does not exist on the hub');
  }
  if (error instanceof InvalidArgumentError && message.includes('max_payload'))
    return fault('too-large', "larger than the nats-server's max_payload");
  if (error instanceof DeadlineError) return fault('hub-unreachable', `no answer within ${error.ms} ms`);
  return fault('hub-unreachable', message);
}
