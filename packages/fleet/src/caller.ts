/**
 * Calls from a leaf, as whatever runs there would: over the leaf's own nats-server, so that an answer from the other instance has crossed
 * two leaf links and the hub.
 */
import {
  CALL_ID_HEADER,
  Fault,
  inboxPrefix,
  newId,
  SERVED_BY_HEADER,
  subjectOf,
  systemClock,
  TIMEOUT_HEADER,
} from '@cim/contracts';
import { send } from '@cim/contracts/bus';
import { connect } from '@cim/contracts/wire';
import { headers } from '@nats-io/transport-node';
import type { Fleet } from './fleet.ts';
import { leafAdminUser } from './leaf.ts';

export interface Answer {
  readonly output: any;
  /** `<instance>/<kind>/<workload>@<version>` */
  readonly servedBy: string;
  /** Milliseconds from asking to the answer. */
  readonly ms: number;
}

export interface Caller extends AsyncDisposable {
  readonly from: string;
  /** @throws Fault the other side's */
  call(capability: string, input: unknown): Promise<Answer>;
}

const TIMEOUT_MS = 60_000;

export async function callerAt(fleet: Fleet, instance: string): Promise<Caller> {
  const { leaf } = fleet.member(instance);
  const user = leafAdminUser(instance);
  const connection = await connect({
    servers: leaf.url,
    name: `caller at ${instance}`,
    user,
    pass: fleet.secrets.password(user),
    // The leaf's own user at the hub lets answers in under this prefix.
    inboxPrefix: inboxPrefix('node', instance),
  });
  return {
    from: instance,
    async call(capability, input) {
      const head = headers();
      head.set(TIMEOUT_HEADER, `${TIMEOUT_MS}`);
      head.set(CALL_ID_HEADER, newId());
      const nobody = new Fault('capability-unknown', `nothing answers ${capability} when asked from ${instance}`);
      const begun = systemClock.monotonic();
      const text = JSON.stringify(input);
      const reply = await send(connection, subjectOf('call', { capability }), text, TIMEOUT_MS, nobody, head);
      const ms = systemClock.monotonic() - begun;
      return { output: reply.json(), servedBy: reply.headers?.get(SERVED_BY_HEADER) ?? '', ms };
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}
